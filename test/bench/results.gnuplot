# The plot of the benchmarks: gnuplot -e "data='PATH'; out='FILE.svg'" this
# Reads PATH.works and PATH.growth, tab-separated, a column for each rival.
set terminal svg size 1000,1100 dynamic noenhanced font "sans-serif,13" background "#ffffff"
set output out
set datafile separator "\t"
set datafile missing "NaN"
set key autotitle columnhead
set multiplot layout 2,1

array colour[5] = ["#999999", "#2a6ebb", "#e0a030", "#c05020", "#803060"]

set title "Time, velt_fdw = 1 (less is better)"
set style data histogram
set style histogram clustered gap 1
set style fill solid
set boxwidth 0.9
set logscale y
set yrange [0.5:*]
set grid ytics
set xtics rotate by 25 right font ",10" nomirror
set bmargin 10
set lmargin 9
set rmargin 3
set key outside top center horizontal
plot for [i=1:5] data.".works" using i+1:xtic(1) linecolor rgb colour[i]

set title "Seconds to scan so many API keys, 0 ms"
set style data linespoints
set logscale xy
set yrange [*:*]
set xtics norotate font ",12"
set format x "%.0f"
set xrange [800:1200000]
set bmargin 3
plot for [i=1:4] data.".growth" using 1:i+1 linecolor rgb colour[i] linewidth 2 pointtype 7
