/* time.h: what the tests use of it. */
typedef long long time_t;

time_t time(time_t *unused);
