# The log of pg_regress, as it is up to PostgreSQL 15 and from 16 on.  Prints
# a line for each test: name, ok or FAILED, milliseconds.

/^(test | +)[^ ].* \.\.\. (ok|FAILED) .*ms$/ {
    name = $1 == "test" ? $2 : $1
    print name, (/\.\.\. ok/ ? "ok" : "FAILED"), $(NF - 1)
}
/^(not )?ok [0-9]+ +[-+] .* ms$/ {
    match($0, / [-+] /)
    split(substr($0, RSTART + 3), word, " ")
    print word[1], (/^ok/ ? "ok" : "FAILED"), $(NF - 1)
}
