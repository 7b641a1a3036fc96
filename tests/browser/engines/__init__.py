"""The page in other engines than Chromium: Firefox's Gecko and WebKitGTK."""
