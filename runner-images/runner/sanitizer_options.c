/* Options built into the program under the address sanitizer: its environment is wiped, and looking for leaks needs to trace the
 * process, which an undumpable one does not permit. Leaks are looked for in the unit tests of the same code. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0:handle_segv=1:abort_on_error=1";
}
