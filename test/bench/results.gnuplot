# The plot of the benchmarks: gnuplot -e "data='PATH'; out='FILE.svg'" this
# Reads PATH.works and PATH.growth, tab-separated, a column for each rival.
set terminal svg size 1000,1400 dynamic noenhanced font "sans-serif,13" background "#ffffff"
set output out
set datafile separator "\t"
set datafile missing "NaN"
set key autotitle columnhead
set multiplot

array colour[5] = ["#999999", "#2a6ebb", "#e0a030", "#c05020", "#803060"]
array dot[5] = [5, 7, 9, 11, 13]

# A line for each work, from above, and a dot for each rival: a bar on a
# logarithmic scale would begin anywhere.
stats data.".works" using 0 nooutput
works = int(STATS_records)
set origin 0, 0.4
set size 1, 0.6
set title "Time, velt_fdw = 1 (left is quicker)"
set logscale x
set xrange [0.1:*]
set xtics format "%g"
set yrange [works - 0.4:-0.6]
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb "#d0d0d0"
set ytics font ",11"
set lmargin 48
set rmargin 4
set tmargin 9
set bmargin 3
set key at screen 0.5, 0.995 center top vertical Left reverse samplen 1
set arrow from 1, graph 0 to 1, graph 1 nohead linewidth 2 linecolor rgb colour[2] back
plot for [i=1:5] data.".works" using i+1:0:ytic(1) title columnheader(i+1) with points pointtype dot[i] pointsize 1.1 linecolor rgb colour[i]

unset arrow
set origin 0, 0
set size 1, 0.4
set title "Seconds to scan so many API keys, 0 ms"
set yrange [*:*]
set logscale xy
unset ytics
set ytics format "%g"
set format x "%.0f"
set xrange [800:1200000]
set lmargin 9
set tmargin 2
unset key
plot for [i=1:5] data.".growth" using 1:i+1 with linespoints linecolor rgb colour[i] linewidth 2 pointtype dot[i]
