"""The page from which a citizen collects an offer: a QR code for the phone, a link for this device."""
