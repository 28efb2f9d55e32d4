/* A plugin of qemu-user: counts the guest's instructions and prints the number at exit.
 * The declarations are those of QEMU's TCG plugin interface, version 1 (docs/devel/tcg-plugins.rst), as far
 * as they are needed. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb*));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb*, int operation, void* counter,
                                              uint64_t by);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void*), void*);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { ADD_U64 = 0 };
static uint64_t num_instructions;

/* A block of straight code is about to be translated: each time it runs, all of it does. */
static void on_block(plugin_id id, struct qemu_plugin_tb* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &num_instructions, qemu_plugin_tb_n_insns(block));
}

static void on_exit(plugin_id id, void* unused) {
  (void)id;
  (void)unused;
  fprintf(stderr, "%" PRIu64 "\n", num_instructions);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void* info, int argc,
                                                               char** argv) {
  (void)info;
  (void)argc;
  (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
  qemu_plugin_register_atexit_cb(id, on_exit, NULL);
  return 0;
}
