# The Test Anything Protocol, of one program, on standard input; status: the
# program's exit status.  Prints how many tests passed and how many failed.
# A program that does not finish its plan, or whose status is not 0, has
# failed at least once.

/^ok / { passed++ }
/^not ok / { failed++ }
/^1\.\.[0-9]+/ { planned = 1; plan = substr($1, 4) + 0 }
/^Bail out!/ { planned = 0 }
END {
    missing = plan - passed - failed
    if (planned && missing > 0)
        failed += missing
    if ((!planned || status != 0) && !failed)
        failed = 1
    print passed + 0, failed + 0
}
