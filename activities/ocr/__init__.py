"""ocr: one OcrResult per leaf and provider; pages of low confidence get a second opinion."""
