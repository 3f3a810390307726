/* string.h: what the tests use beside the sources. */
#include_next <string.h>

int memcmp(const void *a, const void *b, size_t bytes);
int strncmp(const char *a, const char *b, size_t count);
size_t strcspn(const char *text, const char *stops);
char *strstr(const char *text, const char *part);
char *strtok_r(char *text, const char *stops, char **rest);
