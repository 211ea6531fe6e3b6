"""Pages in which scans are looked at: volumes packed for a browser, and the page that draws them."""
