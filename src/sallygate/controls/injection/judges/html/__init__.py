"""Judges of cross-site scripting: HTML, JavaScript, URLs and style sheets in a value, and XML shown as a page."""
