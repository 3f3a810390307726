/* stdio.h: what the tests use of it; JavaScript prints. */
#include <stdarg.h>
#include <stddef.h>

enum { stdout = 1, stderr = 2 };

int printf(const char *format, ...);
int vprintf(const char *format, va_list arguments);
int snprintf(char *to, size_t size, const char *format, ...);
int fputs(const char *text, int stream);
int fputc(int character, int stream);
int fflush(int stream);
