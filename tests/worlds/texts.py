"""Texts that encoders and tokenizers are tried on."""

#: The same thing in many languages, one a line.
SAME = {
    "en": ["red shoes", "coffee machine", "The government announced new measures.", "guitar strings"],
    "de": ["rote Schuhe", "Kaffeemaschine", "Die Regierung kündigte neue Maßnahmen an.", "Gitarrensaiten"],
    "fr": [
        "chaussures rouges",
        "machine à café",
        "Le gouvernement a annoncé de nouvelles mesures.",
        "cordes de guitare",
    ],
    "es": ["zapatos rojos", "máquina de café", "El gobierno anunció nuevas medidas.", "cuerdas de guitarra"],
    "ru": ["красные туфли", "кофемашина", "Правительство объявило о новых мерах.", "гитарные струны"],
    "zh": ["红色鞋子", "咖啡机", "政府宣布了新措施。", "吉他弦"],
    "ja": ["赤い靴", "コーヒーメーカー", "政府は新しい対策を発表した。", "ギター弦"],
    "ar": ["أحذية حمراء", "ماكينة القهوة", "أعلنت الحكومة عن تدابير جديدة.", "أوتار الجيتار"],
}

#: Characters that compose, in one way or several; widths, spaces, marks and controls; what spells a piece; no pieces.
ODD = (
    "", " ", "  two   spaces  ", "a\nb\tc\r\n", "\u00a0x\u3000y", "\u200b", "e\u0301a\u0308", "\u1100\u1161\u11a8",
    "ｱﾞ ﾊﾟ ｈｅｌｍｅｔ", "ﷺ", "ﬁ ½ ①", "bike\u2581road", "bike\u2581", "\u2581\u2581", "<s> bike </s>", "<unk>",
    "ᚠᛇᚻ road", "𓀀<unk>𓀁", "i\u0307 a\u0328\u0301 \u0344",
)  # fmt: skip
