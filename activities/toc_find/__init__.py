"""toc_find: the printed contents pages and the PDF outline, as independent witnesses."""
