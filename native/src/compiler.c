/* compiler.c: what made the kernels what they are. */
#include "../include/dotpool.h"

#define TEXT_OF(number) #number
#define TEXT(macro) TEXT_OF(macro)

const char *dp_compiler(void) {
#if defined(__clang__)
  return "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__);
#else
  return "gcc " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__) "." TEXT(__GNUC_PATCHLEVEL__);
#endif
}
