"""Words that tell variants of a product apart: invented brands, and colours and sizes in every language."""

from typing import Final

from xlrec.datasets.demo.products import LANGUAGES, Product


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


BRANDS: Final = _words(
    "Velunda, Korrimo, Tasabel, Ostrevo, Quillara, Brenovi, Miraken, Solvanto, Dravelle, Pimorra, Yestrin, "
    "Kalubri, Fenwosk, Zarindo, Luopera, Haskevi, Tormelo, Ubrenna, Wexaro, Cindraly, Nuvoretti, Gorlanka, "
    "Espolin, Jamberra, Rivosko, Altumeri, Bexholm, Ovarikka, Sepralo, Thandrix, Meluzar, Ikorvana, Dulwenni, "
    "Pravostel, Kinzorra, Arbeluno, Vostrimi, Lumegarde, Ondrezza, Fabrikoli"
)
#: Colours of each language, every language in the same order.
COLOURS: Final = {
    "en": _words(
        "black, white, grey, red, blue, green, yellow, orange, purple, pink, brown, beige, navy, "
        "turquoise, olive, burgundy, silver, gold, cream, mint"
    ),
    "zh": _words(
        "黑色, 白色, 灰色, 红色, 蓝色, 绿色, 黄色, 橙色, 紫色, 粉色, 棕色, "
        "米色, 藏青色, 青绿色, 橄榄绿, 酒红色, 银色, 金色, 奶油色, 薄荷绿"
    ),
    "ja": _words(
        "ブラック, ホワイト, グレー, レッド, ブルー, グリーン, イエロー, オレンジ, "
        "パープル, ピンク, ブラウン, ベージュ, ネイビー, ターコイズ, オリーブ, "
        "ワインレッド, シルバー, ゴールド, クリーム, ミント"
    ),
    "ko": _words(
        "블랙, 화이트, 그레이, 레드, 블루, 그린, 옐로, 오렌지, 퍼플, 핑크, "
        "브라운, 베이지, 네이비, 터키옥색, 올리브, 버건디, 실버, 골드, 크림, 민트"
    ),
    "de": _words(
        "Schwarz, Weiß, Grau, Rot, Blau, Grün, Gelb, Orange, Lila, Rosa, Braun, Beige, Marineblau, "
        "Türkis, Oliv, Weinrot, Silber, Gold, Creme, Mint"
    ),
    "fr": _words(
        "noir, blanc, gris, rouge, bleu, vert, jaune, orange, violet, rose, marron, beige, bleu marine, "
        "turquoise, olive, bordeaux, argent, doré, crème, menthe"
    ),
    "es": _words(
        "negro, blanco, gris, rojo, azul, verde, amarillo, naranja, morado, rosa, marrón, beige, azul "
        "marino, turquesa, verde oliva, burdeos, plateado, dorado, crema, menta"
    ),
    "pt": _words(
        "preto, branco, cinza, vermelho, azul, verde, amarelo, laranja, roxo, rosa, marrom, bege, "
        "azul-marinho, turquesa, verde-oliva, bordô, prateado, dourado, creme, menta"
    ),
    "ru": _words(
        "чёрный, белый, серый, красный, синий, зелёный, жёлтый, оранжевый, фиолетовый, розовый, "
        "коричневый, бежевый, тёмно-синий, бирюзовый, оливковый, бордовый, серебристый, золотистый, "
        "кремовый, мятный"
    ),
    "ar": _words(
        "أسود, أبيض, رمادي, أحمر, أزرق, أخضر, أصفر, برتقالي, بنفسجي, وردي, بني, بيج, كحلي, فيروزي, "
        "زيتوني, عنابي, فضي, ذهبي, كريمي, نعناعي"
    ),
    "hi": _words(
        "काला, सफ़ेद, स्लेटी, लाल, नीला, हरा, पीला, नारंगी, बैंगनी, गुलाबी, भूरा, बेज, गहरा नीला, "
        "फ़िरोज़ी, जैतूनी, गहरा लाल, चाँदी, सुनहरा, क्रीम, मिंट"
    ),
    "tr": _words(
        "siyah, beyaz, gri, kırmızı, mavi, yeşil, sarı, turuncu, mor, pembe, kahverengi, bej, lacivert, "
        "turkuaz, haki, bordo, gümüş, altın, krem, mint yeşili"
    ),
}
#: Sizes of each language, every language in the same order.
SIZES: Final = {
    "en": _words("small, medium, large, extra large, compact, travel size, family size, set of two"),
    "zh": _words("小号, 中号, 大号, 特大号, 紧凑款, 旅行装, 家庭装, 两件套"),
    "ja": _words("Sサイズ, Mサイズ, Lサイズ, LLサイズ, コンパクト, トラベルサイズ, ファミリーサイズ, 2点セット"),
    "ko": _words("소형, 중형, 대형, 특대형, 콤팩트형, 여행용, 패밀리형, 2개 세트"),
    "de": _words("klein, mittel, groß, sehr groß, kompakt, Reisegröße, Familiengröße, Zweierset"),
    "fr": _words(
        "petit modèle, modèle moyen, grand modèle, très grand modèle, format compact, format voyage, "
        "format familial, lot de deux"
    ),
    "es": _words(
        "tamaño pequeño, tamaño mediano, tamaño grande, tamaño extragrande, formato compacto, tamaño de "
        "viaje, tamaño familiar, juego de dos"
    ),
    "pt": _words(
        "tamanho pequeno, tamanho médio, tamanho grande, tamanho extragrande, formato compacto, tamanho "
        "viagem, tamanho família, kit com dois"
    ),
    "ru": _words(
        "малый размер, средний размер, большой размер, очень большой размер, компактный формат, дорожный "
        "формат, семейный формат, набор из двух"
    ),
    "ar": _words("مقاس صغير, مقاس متوسط, مقاس كبير, مقاس كبير جدًا, حجم مدمج, حجم السفر, حجم عائلي, طقم من قطعتين"),
    "hi": _words("छोटा आकार, मध्यम आकार, बड़ा आकार, बहुत बड़ा आकार, कॉम्पैक्ट, यात्रा आकार, पारिवारिक आकार, दो का सेट"),
    "tr": _words("küçük boy, orta boy, büyük boy, ekstra büyük boy, kompakt boy, seyahat boyu, aile boyu, ikili set"),
}
#: Distinct variants of one product.
N_COMBINATIONS: Final = len(BRANDS) * len(COLOURS["en"]) * len(SIZES["en"])

_PATTERN: Final = "{brand} {title} – {colour}, {size}"
_PATTERNS: Final = {
    "zh": "{brand} {title}（{colour}，{size}）",
    "ja": "{brand} {title}（{colour}・{size}）",
    "ko": "{brand} {title} ({colour}, {size})",
    "ar": "{title} من {brand} – {colour}، {size}",
}


def variant_title(product: Product, product_num: int, variant: int, language_num: int) -> str:
    """The title of a variant; variant 0 is the product itself. No two variants of a product share a title."""
    title = product.titles[language_num]
    if variant == 0:
        return title
    # 2741 and N_COMBINATIONS have no common factor: every combination comes once before any comes again.
    combination = (variant * 2741 + product_num * 97) % N_COMBINATIONS
    rest, brand = divmod(combination, len(BRANDS))
    size, colour = divmod(rest, len(COLOURS["en"]))
    language = LANGUAGES[language_num]
    return _PATTERNS.get(language, _PATTERN).format(
        brand=BRANDS[brand], title=title, colour=COLOURS[language][colour], size=SIZES[language][size]
    )
