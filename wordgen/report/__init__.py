"""Make report.html in the folder of a run: one page that needs no other files."""
