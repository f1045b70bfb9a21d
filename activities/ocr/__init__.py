"""ocr: one OcrResult per leaf and provider; the pages with the most expected errors get a second opinion."""
