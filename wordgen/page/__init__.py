"""report.html in a run's folder: from what is known of a run to one page that stands for itself."""
