// Opens a model file and runs whatever it holds; anything but halfbyte::Error is a finding.
#pragma once
#include <string>

void run_model(const std::string& path);
