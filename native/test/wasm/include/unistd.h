/* unistd.h: what the tests use of it. */
enum { _SC_PAGESIZE = 1 };

long sysconf(int name);
