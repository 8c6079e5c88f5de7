"""The headers that protect the page, as the template's policies for CloudFront set them.

Attributes:
    PAGE: For the page's own files.
    DATA: For the API's answers and for pictures: whatever is in a camera's file, nothing of it runs.
    REPORT: For the reports of runs: pages with their own styles and pictures, and without scripts.
"""

_EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}

PAGE = _EVERYWHERE | {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}
DATA = _EVERYWHERE | {"content-security-policy": "default-src 'none'; sandbox"}
REPORT = _EVERYWHERE | {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
}
