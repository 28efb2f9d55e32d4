/* Transcribes a WAV file: transcribe MODEL.hb TALK.wav [CHUNK_MS]
 * Partial results go to standard error, the text to standard output. CHUNK_MS 0, the default, is full
 * context. docs/c.md says how to build this. */
#include <halfbyte.h>
#include <stdio.h>
#include <stdlib.h>

static void check(halfbyte_status status) {
  if (status == HALFBYTE_OK) return;
  fprintf(stderr, "transcribe: %s\n", halfbyte_last_error());
  exit(2);
}

/* Prints the events that wait; returns whether text has been printed so far. */
static int print_events(halfbyte_stream* stream, int has_text) {
  halfbyte_event event;
  while (halfbyte_stream_next_event(stream, &event)) {
    if (event.type != HALFBYTE_TEXT) continue;
    if (!event.is_final) {
      fprintf(stderr, "... %s\n", event.text);
    } else if (event.text[0] != '\0') {
      printf("%s%s", has_text ? " " : "", event.text);
      has_text = 1;
    }
  }
  return has_text;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: transcribe MODEL.hb TALK.wav [CHUNK_MS]\n");
    return 2;
  }
  halfbyte_model* model;
  halfbyte_wav* wav;
  halfbyte_stream* stream;
  check(halfbyte_model_open(argv[1], &model));
  check(halfbyte_wav_open(argv[2], &wav));

  halfbyte_options options = halfbyte_default_options();
  options.chunk_ms = argc > 3 ? (int)strtol(argv[3], NULL, 10) : HALFBYTE_FULL_CONTEXT;
  options.sample_rate_hz = halfbyte_wav_sample_rate_hz(wav);
  check(halfbyte_stream_open(model, &options, &stream));

  float samples[1600];
  size_t num_samples;
  int has_text = 0;
  do {
    check(halfbyte_wav_read(wav, samples, 1600, &num_samples));
    check(halfbyte_stream_accept(stream, samples, num_samples));
    has_text = print_events(stream, has_text);
  } while (num_samples > 0);
  check(halfbyte_stream_finish(stream));
  print_events(stream, has_text);
  printf("\n");

  halfbyte_stream_close(stream);
  halfbyte_wav_close(wav);
  halfbyte_model_close(model);
  return 0;
}
