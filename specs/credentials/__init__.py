"""Which credential? SD-JWT VC, ISO mdoc and the status lists they point to."""
