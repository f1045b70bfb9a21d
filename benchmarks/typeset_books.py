"""Books that `typeset.py` sets: as many conventions of publishers as two dozen books can hold. Titles, people "
"and houses are made up."""

from __future__ import annotations

from benchmarks.typesetter import Chapter, Design, Part, Section, chapters

SEA = (
    *(
        "The Harbour at Dawn",
        "A Stranger on the Quay",
        "What the Pilot Knew",
        "Ropes and Lanterns",
        "The Long Crossing",
    ),
    *("Salt", "In Which the Wind Turns", "Letters from the North", "The Keeper of the Light", "A Debt Is Paid"),
    *("The Widow’s House", "Low Water", "The Bell Rings Twice", "Home"),
)
SCHOLARLY = (
    *("Markets and Memory in the Early City", "The Parish and Its Poor", "Guilds, Trades, and the Law"),
    *(
        "Women at Work: The Evidence of Wills",
        "Credit Without Banks",
        "The Politics of Bread",
        "Fire, Plague, and Renewal",
    ),
    *("The River as Boundary and as Road", "Reading and Writing"),
)
TECHNICAL = (
    ("Getting Started", ("Installing the Tools", "A First Program", "Where to Go from Here")),
    ("Values and Names", ("Numbers", "Text", "Lists and Tables")),
    ("Control", ("Choosing", "Repeating", "Leaving Early")),
    ("Functions", ("Defining Functions", "Arguments and Results", "Recursion")),
    ("Errors", ("Kinds of Errors", "Handling Errors", "Testing")),
    ("Files and Networks", ("Reading Files", "Writing Files", "Talking to Servers")),
)
GERMAN = (
    "Der Morgen kam langsam über die Dächer der kleinen Stadt. Niemand war auf der Straße, und die Fenster "
    "waren noch dunkel. "
    "Er ging den Weg hinunter, den er als Kind so oft gegangen war. Die Brücke war neu, aber der Fluss war "
    "noch derselbe. Es war "
    "ihm, als hätte er nichts von alledem je verlassen. Die Leute sagten, dass der alte Müller nicht mehr "
    "lebe. Auf dem Markt "
    "standen die Wagen der Bauern, und es roch nach Brot und nach Regen. Sie fragte ihn, ob er bleiben wolle, "
    "und er wusste keine "
    "Antwort. Am Abend saßen sie in der Küche und sprachen von früher. Dann stand er auf, nahm seinen Mantel "
    "und ging ohne ein Wort "
    "hinaus. Der Wind hatte sich gedreht und kam nun von den Bergen. Was hätte er auch sagen sollen, da doch "
    "alles gesagt war. "
)
FRENCH = (
    "Le matin se levait lentement sur les toits de la petite ville. Il n’y avait personne dans la rue et les "
    "fenêtres étaient encore "
    "sombres. Il descendit le chemin qu’il avait pris si souvent quand il était enfant. Le pont était neuf, "
    "mais la rivière était "
    "toujours la même. Il lui semblait que rien de tout cela ne l’avait jamais quitté. On disait que le vieux "
    "meunier ne vivait plus. "
    "Sur la place, les voitures des paysans attendaient, et cela sentait le pain et la pluie. Elle lui demanda "
    "s’il voulait rester, et "
    "il ne sut que répondre. Le soir, ils restèrent dans la cuisine et parlèrent du temps passé. Puis il se "
    "leva, prit son manteau et "
    "sortit sans un mot. Le vent avait tourné et venait maintenant des montagnes. "
)


def isbn(twelve: str, form: str = "{}-{}-{}-{}-{}") -> tuple[str, str]:
    """(digits, as printed) of an ISBN-13 from its first twelve digits."""
    digits = twelve + str(-sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(twelve)) % 10)
    return digits, form.format(digits[:3], digits[3], digits[4:8], digits[8:12], digits[12])


def isbn10(nine: str) -> tuple[str, str]:
    """(thirteen digits, as printed) of an ISBN-10 from its first nine digits."""
    check = -sum(int(d) * (10 - i) for i, d in enumerate(nine)) % 11
    return isbn("978" + nine)[0], f"{nine[0]}-{nine[1:5]}-{nine[5:]}-{'X' if check == 10 else check}"


def with_sections(titles: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[Chapter, ...]:
    return tuple(Chapter(title, tuple(Section(one) for one in sections)) for title, sections in titles)


HARD, PAPER, EBOOK = isbn("978019876543"), isbn("978019876544"), isbn("978019876545")
OLD = isbn10("034552010")
NOVEL, PRESS, NORTH = isbn("978067404321"), isbn("978022651234"), isbn("978150175321", "{}{}{}{}{}")
TECH, TECH_E = isbn("978149195012"), isbn("978149195013")
VERLAG, EDITIONS = isbn("978351842877"), isbn("978207036002")

MODERN_NOVEL = Design(
    name="modern-novel",
    title="The Salt Road",
    authors=("Eleanor Hartwell",),
    publisher="Greyfriars Books",
    place="New York",
    year=2014,
    isbn=(NOVEL[0],),
    title_page=(
        (0.25, 32, "THE SALT ROAD"),
        (0.36, 12, "A NOVEL"),
        (0.5, 16, "ELEANOR HARTWELL"),
        (0.86, 11, "GREYFRIARS BOOKS"),
        (0.885, 9, "NEW YORK"),
    ),
    copyright_page=(
        "This is a work of fiction. Names, characters, places, and incidents either are the product of the author’s "
        "imagination or are used fictitiously.",
        "Copyright © 2014 by Eleanor Hartwell",
        "All rights reserved. Published in the United States by Greyfriars Books, New York.",
        "Library of Congress Cataloging-in-Publication Data",
        "Hartwell, Eleanor.",
        "The salt road : a novel / Eleanor Hartwell. — First edition.",
        "pages cm",
        f"ISBN {NOVEL[1]} (hardcover)",
        "1. Sailors—Fiction. 2. Islands—Fiction. I. Title.",
        "PS3608.A7875 S25 2014",
        "813'.6—dc23",
        "Printed in the United States of America",
        "10 9 8 7 6 5 4 3 2 1",
    ),
    subtitle=None,
    parts=(Part("", chapters(SEA[:10])),),
    front=("half_title", "blank", "title_page", "copyright", "dedication", "blank"),
    dedication=("For Thomas,", "who waited"),
    front_numbers="none",
    heading=((16, "{n}"),),
    plain_heading="{t}",
    header="author/title",
    number_at="foot-centre",
    recto=False,
    drop_cap=True,
    back=("acknowledgements:Acknowledgments", "colophon"),
)

VICTORIAN = Design(
    name="victorian-novel",
    title="The Heir of Dunmore",
    subtitle="A Tale of the Northern Coast",
    authors=("Margaret Ashworth",),
    publisher="Smith, Alder & Co.",
    place="London",
    year=1871,
    title_page=(
        (0.14, 12, "THE"),
        (0.18, 26, "HEIR OF DUNMORE"),
        (0.25, 11, "A TALE OF THE NORTHERN COAST"),
        (0.34, 8, "BY"),
        (0.37, 14, "MARGARET ASHWORTH"),
        (0.40, 7, "AUTHOR OF “THE MILLER’S WIFE,” “TWO WINTERS,” ETC."),
        (0.56, 10, "IN ONE VOLUME"),
        (0.82, 11, "LONDON"),
        (0.85, 10, "SMITH, ALDER & CO., 15 WATERLOO PLACE"),
        (0.88, 10, "1871"),
        (0.91, 7, "[The right of translation is reserved]"),
    ),
    copyright_page=("LONDON:", "PRINTED BY WILLIAM CLOWES AND SONS, STAMFORD STREET", "AND CHARING CROSS."),
    parts=(Part("", chapters(SEA, paragraphs=7)),),
    front=("half_title", "blank", "title_page", "copyright", "dedication", "blank", "preface", "recto", "toc", "recto"),
    dedication=("TO", "MY FATHER", "THIS TALE IS AFFECTIONATELY INSCRIBED"),
    front_listed=False,
    contents_heading="CONTENTS.",
    entry="{R}. {t}",
    entry_case="upper",
    leader="spaced",
    page_head="CHAP.|PAGE",
    heading=((12, "CHAPTER {R}."), (9, "{T}.")),
    number_at="head-outer",
    number_on_openings="none",
    header="title/chapter",
    recto=False,
)

MONOGRAPH = Design(
    name="university-press",
    title="Bread and Bells",
    subtitle="Everyday Life in a Northern Port, 1540–1680",
    authors=("Anne-Marie Keller",),
    publisher="Oxbridge University Press",
    place="Oxford",
    year=2009,
    isbn=(HARD[0], PAPER[0]),
    title_page=(
        (0.2, 24, "Bread and Bells"),
        (0.26, 13, "/Everyday Life in a Northern Port,"),
        (0.29, 13, "/1540–1680"),
        (0.42, 13, "ANNE-MARIE KELLER"),
        (0.86, 9, "OXBRIDGE"),
        (0.88, 8, "UNIVERSITY PRESS"),
    ),
    copyright_page=(
        "OXBRIDGE UNIVERSITY PRESS",
        "Great Clarion Street, Oxford OX2 6DP",
        "Oxbridge University Press is a department of the University of Oxbridge. It furthers the University’s "
        "objective of "
        "excellence in research, scholarship, and education by publishing worldwide.",
        "© Anne-Marie Keller 2009",
        "The moral rights of the author have been asserted",
        "First published 2009",
        "All rights reserved. No part of this publication may be reproduced, stored in a retrieval system, or "
        "transmitted, in "
        "any form or by any means, without the prior permission in writing of Oxbridge University Press.",
        "British Library Cataloguing in Publication Data",
        "Data available",
        "Typeset by Newgen Imaging Systems",
        "Printed in Great Britain on acid-free paper by Biddles Ltd., King’s Lynn, Norfolk",
        f"ISBN {HARD[1]} (Hbk.)   {PAPER[1]} (Pbk.)",
        "1 3 5 7 9 10 8 6 4 2",
    ),
    parts=(
        Part(
            "", (Chapter("Introduction", numbered=False), *chapters(SCHOLARLY), Chapter("Conclusion", numbered=False))
        ),
    ),
    front=(
        "half_title",
        "blank",
        "title_page",
        "copyright",
        "dedication",
        "blank",
        "acknowledgements",
        "toc",
        "figures",
        "recto",
    ),
    front_listed=False,
    contents_heading="Contents",
    entry="{n}. {t}",
    leader="spaces",
    heading=((14, "{n}"), (18, "{t}")),
    number_at="head-outer",
    header="title/chapter",
    header_case="italic",
    footnotes=True,
    back=("bibliography", "index"),
)

IN_PARTS = Design(
    name="parts-and-chapters",
    title="The Quiet Engine",
    subtitle="How Ordinary Tools Changed the World",
    authors=("David Marsh", "Ruth Okafor"),
    publisher="Northgate Press",
    place="Chicago",
    year=2018,
    isbn=(PRESS[0],),
    title_page=(
        (0.1, 14, "David Marsh"),
        (0.13, 14, "Ruth Okafor"),
        (0.3, 30, "*The Quiet Engine"),
        (0.38, 13, "How Ordinary Tools Changed the World"),
        (0.88, 11, "Northgate Press"),
        (0.9, 9, "Chicago"),
    ),
    copyright_page=(
        "Northgate Press, Chicago 60637",
        "© 2018 by David Marsh and Ruth Okafor",
        "All rights reserved. Published 2018.",
        "Printed in the United States of America",
        "27 26 25 24 23 22 21 20 19 18    1 2 3 4 5",
        f"ISBN-13: {PRESS[1]} (cloth)",
        "DOI: https://doi.org/10.7208/chicago/9780226512.001.0001",
        "Library of Congress Cataloging-in-Publication Data",
        "Names: Marsh, David, author. | Okafor, Ruth, author.",
        "Title: The quiet engine : how ordinary tools changed the world / David Marsh, Ruth Okafor.",
        "Description: Chicago : Northgate Press, 2018. | Includes bibliographical references and index.",
        "Identifiers: LCCN 2017042191",
    ),
    parts=(
        Part("Hands", chapters(("The Needle", "The Plough and the Long Field", "Measures"))),
        Part("Fires", chapters(("The Kiln", "Glass", "Iron and Its Makers"))),
        Part("Wheels", chapters(("The Cart", "The Mill on the River", "The Clock"))),
    ),
    front=("half_title", "blank", "title_page", "copyright", "toc", "preface", "recto"),
    entry="{n}. {t}",
    part_entry="Part {w}. {t}",
    chapter_indent=14,
    heading=((12, "{n}"), (20, "{t}")),
    header="title/chapter",
    header_case="plain",
    number_at="foot-outer",
    back=("notes", "bibliography", "index"),
)

PARTS_FLUSH = Design(
    name="parts-without-pages",
    title="A Short History of Weather",
    authors=("P. J. Whitcombe",),
    publisher="Faber & Lane",
    place="London",
    year=1962,
    title_page=(
        (0.16, 12, "A SHORT HISTORY OF"),
        (0.22, 30, "WEATHER"),
        (0.33, 9, "by"),
        (0.37, 13, "P. J. WHITCOMBE"),
        (0.86, 11, "FABER & LANE"),
        (0.885, 9, "24 Russell Square"),
        (0.91, 9, "London"),
    ),
    copyright_page=(
        "First published in mcmlxii",
        "by Faber & Lane Limited",
        "24 Russell Square London W.C.1",
        "Printed in Great Britain by",
        "Latimer Trend & Co Ltd Plymouth",
        "All rights reserved",
        "© P. J. Whitcombe 1962",
    ),
    parts=(
        Part("Before the Instruments", chapters(SEA[:4])),
        Part("The Age of the Barometer", chapters(SEA[4:8])),
        Part("Forecasts", chapters(SEA[8:11])),
    ),
    front=("half_title", "blank", "frontispiece", "title_page", "copyright", "toc", "blank"),
    front_numbers="arabic",
    restart=False,
    front_numbered=False,
    contents_heading="Contents",
    entry="{n}. {t}",
    part_entry="{T}",
    part_numbered=False,
    leader="spaces",
    page_head="page",
    heading=((12, "{n}"), (16, "{t}")),
    part_page=((12, "PART {W}"), (18, "{t}")),
    header="title/chapter",
    number_at="head-outer",
    recto=False,
    back=("index",),
)

ANTHOLOGY = Design(
    name="edited-volume",
    title="Rivers and Borders",
    subtitle="Essays on Northern Landscapes",
    authors=("Helen Drummond", "Jan de Vries"),
    publisher="Cornfield University Press",
    place="Ithaca",
    year=2019,
    isbn=(NORTH[0],),
    title_page=(
        (0.2, 26, "Rivers and Borders"),
        (0.27, 14, "Essays on Northern Landscapes"),
        (0.4, 10, "Edited by"),
        (0.44, 14, "Helen Drummond and Jan de Vries"),
        (0.84, 11, "Cornfield University Press"),
        (0.87, 10, "Ithaca and London"),
    ),
    copyright_page=(
        "Copyright © 2019 by Cornfield University Press",
        "All rights reserved. Except for brief quotations in a review, this book, or parts thereof, must not "
        "be reproduced in any "
        "form without permission in writing from the publisher.",
        "First published 2019 by Cornfield University Press",
        "Printed in the United States of America",
        "Library of Congress Cataloging-in-Publication Data",
        "Names: Drummond, Helen, editor. | Vries, Jan de, editor.",
        "Title: Rivers and borders : essays on northern landscapes / edited by Helen Drummond and Jan de Vries.",
        f"Identifiers: LCCN 2018023411 | ISBN {NORTH[1]} (cloth : alk. paper)",
    ),
    parts=(
        Part(
            "",
            (
                Chapter("Introduction: Lines in the Water", numbered=False, author="Helen Drummond and Jan de Vries"),
                *(
                    Chapter(title, author=author)
                    for title, author in zip(
                        SCHOLARLY[:8],
                        (
                            "Lars Holm",
                            "Ines Castro",
                            "Peter Whitlock",
                            "Maria Rossi",
                            "Tomasz Nowak",
                            "Grace Lin",
                            "Olu Adeyemi",
                            "Eva Brandt",
                        ),
                        strict=True,
                    )
                ),
            ),
        ),
    ),
    front=("half_title", "blank", "title_page", "copyright", "toc", "recto", "acknowledgements", "recto"),
    contents_heading="Contents",
    entry="{n} {t}",
    author_below=True,
    leader="spaces",
    heading=((14, "{n}"), (18, "{t}")),
    header="author/chapter",
    header_case="plain",
    number_at="head-outer",
    number_on_openings="none",
    back=("glossary:Glossary of Place Names", "index"),
    size=9.5,
)

MANUAL = Design(
    name="technical-manual",
    title="Practical Loom",
    subtitle="A Hands-On Guide to the Language",
    authors=("Priya Raman",),
    publisher="Weaver Media",
    place="Sebastopol",
    year=2021,
    isbn=(TECH[0], TECH_E[0]),
    font="sans",
    size=9.0,
    width=504,
    height=661,
    title_page=(
        (0.12, 12, "SECOND EDITION"),
        (0.22, 34, "*Practical Loom"),
        (0.29, 14, "/A Hands-On Guide to the Language"),
        (0.5, 15, "Priya Raman"),
        (0.88, 12, "Weaver Media"),
    ),
    copyright_page=(
        "Practical Loom",
        "by Priya Raman",
        "Copyright © 2021 Priya Raman. All rights reserved.",
        "Published by Weaver Media, Inc., 1005 Gravenstein Highway North, Sebastopol, CA 95472.",
        "Weaver books may be purchased for educational, business, or sales promotional use.",
        "May 2016: First Edition",
        "March 2021: Second Edition",
        f"{TECH[1]} (print)",
        f"{TECH_E[1]} (ebook)",
        "[LSI]",
    ),
    parts=(Part("", with_sections(TECHNICAL)),),
    paragraphs=4,
    front=("title_page", "copyright", "toc", "recto", "preface", "recto"),
    contents_heading="Table of Contents",
    entry="{n}. {t}",
    section_entry="{t}",
    section_heading="{t}",
    leader="dots",
    heading=((11, "CHAPTER {n}"), (24, "*{t}")),
    header="none",
    number_at="foot-outer",
    number_form="{}",
    back=("appendix:Appendix A. Command Reference", "index"),
)

REPORT = Design(
    name="report-page-of",
    title="Water Quality in the Lower Basin",
    subtitle="Final Report of the Monitoring Programme",
    authors=(),
    publisher="National Institute of Freshwater Studies",
    place="Stockholm",
    year=2016,
    font="sans",
    width=595,
    height=842,
    size=10.5,
    title_page=(
        (0.1, 11, "<Technical Report 2016:14"),
        (0.25, 26, "*Water Quality in the Lower Basin"),
        (0.31, 15, "Final Report of the Monitoring Programme"),
        (0.8, 12, "National Institute of Freshwater Studies"),
        (0.83, 11, "Stockholm 2016"),
    ),
    copyright_page=(
        "© National Institute of Freshwater Studies 2016",
        "ISSN 1402-3091",
        "This report may be cited with full acknowledgment of its source.",
        "Cover photograph: A. Lind",
        "Printed by Arkitektkopia, Stockholm",
    ),
    parts=(
        Part(
            "",
            tuple(
                Chapter(title, tuple(Section(one, below) for one, below in sections))
                for title, sections in (
                    ("Introduction", (("Background", ()), ("Purpose of the Study", ()))),
                    (
                        "Methods",
                        (("Sampling", ("Sites", "Equipment")), ("Laboratory Analysis", ("Nutrients", "Metals"))),
                    ),
                    ("Results", (("Nutrients", ("Nitrogen", "Phosphorus")), ("Metals", ()), ("Trends over Time", ()))),
                    (
                        "Discussion",
                        (
                            ("Comparison with Earlier Surveys", ()),
                            (
                                "Uncertainties in the Measurements and Their Consequences for the "
                                "Classification of Lakes",
                                (),
                            ),
                        ),
                    ),
                    ("Conclusions", ()),
                )
            ),
        ),
    ),
    paragraphs=3,
    front=("title_page", "copyright", "toc"),
    front_numbers="arabic",
    restart=False,
    contents_heading="Table of Contents",
    entry="{n} {t}",
    section_entry="{n}.{m} {t}",
    leader="dots",
    heading=((18, "<*{n} {t}"),),
    sink=0.13,
    header="fixed:Water Quality in the Lower Basin",
    header_case="plain",
    header_at="inner",
    number_at="foot-centre",
    number_form="Page {} of {all}",
    number_on_openings="same",
    recto=False,
    back=("bibliography:References", "appendix:Appendix A: Sampling Sites"),
)

COMPOSITE = Design(
    name="composite-numbers",
    title="Operator’s Handbook",
    subtitle="Model 40 Harvester",
    authors=(),
    publisher="Brandt Machine Company",
    place="Des Moines",
    year=1987,
    font="sans",
    width=432,
    height=612,
    title_page=(
        (0.2, 28, "*Operator’s Handbook"),
        (0.27, 16, "Model 40 Harvester"),
        (0.85, 12, "Brandt Machine Company"),
        (0.875, 10, "Des Moines, Iowa"),
    ),
    copyright_page=(
        "© 1987 Brandt Machine Company",
        "All rights reserved. No part of this handbook may be reproduced without permission.",
        "Printed in U.S.A. Form 40-1187-A",
    ),
    parts=(Part("", with_sections(TECHNICAL[:5])),),
    paragraphs=3,
    front=("title_page", "copyright", "toc", "recto"),
    body_numbers="composite",
    contents_heading="Contents",
    entry="Section {n}. {t}",
    section_entry="{t}",
    section_heading="{t}",
    leader="dots",
    heading=((14, "SECTION {n}"), (18, "*{t}")),
    header="fixed:Model 40 Harvester/chapter",
    header_case="plain",
    number_at="foot-outer",
    number_on_openings="same",
    back=("appendix:Appendix A", "appendix:Appendix B"),
)

GERMAN_NOVEL = Design(
    name="german-novel",
    title="Die stille Brücke",
    authors=("Katharina Lindner",),
    publisher="Lindenhof Verlag",
    place="Frankfurt am Main",
    year=2003,
    isbn=(VERLAG[0],),
    language="de",
    text=GERMAN,
    title_page=(
        (0.15, 13, "Katharina Lindner"),
        (0.3, 26, "Die stille Brücke"),
        (0.37, 12, "Roman"),
        (0.88, 12, "Lindenhof Verlag"),
    ),
    copyright_page=(
        "1. Auflage 2003",
        "© Lindenhof Verlag, Frankfurt am Main 2003",
        "Alle Rechte vorbehalten, insbesondere das der Übersetzung, des öffentlichen Vortrags sowie der "
        "Übertragung durch Rundfunk und Fernsehen, auch einzelner Teile.",
        "Satz: Hümmer GmbH, Waldbüttelbrunn",
        "Druck: Pustet, Regensburg",
        "Printed in Germany",
        f"ISBN {VERLAG[1]}",
    ),
    parts=(
        Part("Der Fluss", chapters(("Ankunft", "Die Mühle", "Was der Wirt erzählte"))),
        Part("Das Haus", chapters(("Der Brief", "Ein langer Winter", "Abschied"))),
    ),
    front=("half_title", "blank", "title_page", "copyright", "toc", "blank"),
    front_numbers="arabic",
    restart=False,
    front_numbered=False,
    contents_heading="Inhalt",
    entry="{t}",
    part_entry="{o} Teil: {t}",
    heading=((16, "{t}"),),
    part_page=((18, "{t}"),),
    header="none",
    number_at="foot-centre",
    number_on_openings="same",
    recto=False,
)

FRENCH_ESSAY = Design(
    name="french-essay",
    title="Le Vent des montagnes",
    subtitle="Essai sur la mémoire des lieux",
    authors=("Claire Dubreuil",),
    publisher="Éditions du Pont",
    place="Paris",
    year=1998,
    isbn=(EDITIONS[0],),
    language="fr",
    text=FRENCH,
    title_page=(
        (0.12, 13, "CLAIRE DUBREUIL"),
        (0.28, 24, "LE VENT DES MONTAGNES"),
        (0.35, 12, "/Essai sur la mémoire des lieux"),
        (0.84, 11, "ÉDITIONS DU PONT"),
        (0.87, 9, "PARIS"),
    ),
    copyright_page=(
        f"ISBN {EDITIONS[1]}",
        "© Éditions du Pont, Paris, 1998.",
        "Tous droits de traduction, de reproduction et d’adaptation réservés pour tous pays.",
    ),
    parts=(Part("", chapters(("Les pierres", "L’eau qui dort", "La maison fermée", "Les absents", "Retour"))),),
    front=("half_title", "blank", "title_page", "copyright"),
    front_numbers="arabic",
    restart=False,
    front_numbered=False,
    contents_heading="TABLE DES MATIÈRES",
    heading=((12, "{R}"), (16, "{t}")),
    header="title/chapter",
    number_at="head-outer",
    number_on_openings="none",
    recto=False,
)

LEFT_NUMBERS = Design(
    name="numbers-on-the-left",
    title="Kitchen Gardens",
    authors=("Rosemary Fenn",),
    publisher="Hollow Tree Press",
    place="Portland",
    year=2011,
    title_page=(
        (0.3, 34, "*Kitchen Gardens"),
        (0.4, 14, "Rosemary Fenn"),
        (0.85, 10, "Hollow Tree Press"),
        (0.875, 9, "Portland, Oregon"),
    ),
    copyright_page=(
        "Text copyright © 2011 by Rosemary Fenn",
        "Photographs copyright © 2011 by Alan Pike",
        "All rights reserved. No part of this book may be reproduced without written permission from the publisher.",
        "Published by Hollow Tree Press",
        "Printed in China",
    ),
    parts=(
        Part(
            "",
            chapters(
                (
                    "Soil",
                    "Seeds and Seedlings",
                    "Water",
                    "The Herb Bed",
                    "Beans and Peas",
                    "Roots",
                    "The Greenhouse in Winter",
                    "Storing the Harvest",
                ),
                paragraphs=13,
            ),
        ),
    ),
    front=("title_page", "copyright", "toc", "blank"),
    front_numbers="arabic",
    restart=False,
    front_numbered=False,
    contents_heading="contents",
    leader="left",
    heading=((26, "<*{t}"),),
    header="none",
    number_at="foot-outer",
    number_form="{}",
    font="sans",
    recto=False,
    back=("index",),
)

COMMA = Design(
    name="comma-numbers",
    title="Essays in Idleness",
    authors=("Robert Louis Harding",),
    publisher="Charles Scrivener’s Sons",
    place="New York",
    year=1904,
    title_page=(
        (0.15, 24, "ESSAYS IN IDLENESS"),
        (0.25, 9, "BY"),
        (0.29, 13, "ROBERT LOUIS HARDING"),
        (0.8, 10, "NEW YORK"),
        (0.83, 11, "CHARLES SCRIVENER’S SONS"),
        (0.86, 10, "1904"),
    ),
    copyright_page=(
        "COPYRIGHT, 1904, BY",
        "CHARLES SCRIVENER’S SONS",
        "Published September, 1904",
        "THE DEVINNE PRESS",
        "All rights reserved, including that of translation into foreign languages",
    ),
    parts=(
        Part(
            "",
            chapters(
                (
                    "On Walking",
                    "Of Old Letters",
                    "The Philosophy of Inns",
                    "A Defence of Sleep",
                    "On Losing One’s Way",
                    "Of Gardens",
                    "Winter Evenings",
                )
            ),
        ),
    ),
    front=("blank", "half_title", "blank", "title_page", "copyright", "toc", "recto"),
    leader="comma",
    narrow=40,
    heading=((15, "{T}"),),
    header="title/chapter",
    number_at="head-outer",
    number_on_openings="none",
    recto=True,
)

TWO_ROWS = Design(
    name="chapter-rows",
    title="The Lamp on the Hill",
    authors=("Thomas Hale",),
    publisher="Bobbs & Merrow Company",
    place="Indianapolis",
    year=1912,
    title_page=(
        (0.15, 28, "THE LAMP ON THE HILL"),
        (0.24, 8, "By"),
        (0.27, 13, "THOMAS HALE"),
        (0.31, 8, "Author of THE FAR FIELD, Etc."),
        (0.36, 9, "ILLUSTRATED BY"),
        (0.39, 10, "W. B. KING"),
        (0.82, 10, "INDIANAPOLIS"),
        (0.845, 11, "BOBBS & MERROW COMPANY"),
        (0.87, 9, "PUBLISHERS"),
    ),
    copyright_page=(
        "COPYRIGHT 1912",
        "BOBBS & MERROW COMPANY",
        "PRESS OF",
        "BRAUNWORTH & CO.",
        "BOOKBINDERS AND PRINTERS",
        "BROOKLYN, N. Y.",
    ),
    parts=(Part("", chapters(SEA[:12])),),
    front=("half_title", "blank", "title_page", "copyright", "toc", "recto"),
    page_head="CHAPTER|PAGE",
    entry="{R} {t}",
    entry_case="upper",
    leader="dots",
    heading=((11, "CHAPTER {R}"), (9, "{T}")),
    drop_cap=True,
    number_at="foot-centre",
    header="title/chapter",
    recto=False,
)

NO_HEADING = Design(
    name="contents-without-heading",
    title="Field Notes",
    subtitle="Twelve Months Among the Birds",
    authors=("Gwen Pritchard",),
    publisher="Saltmarsh Editions",
    place="Norwich",
    year=2007,
    title_page=(
        (0.25, 28, "Field Notes"),
        (0.32, 13, "Twelve Months Among the Birds"),
        (0.44, 14, "Gwen Pritchard"),
        (0.88, 10, "Saltmarsh Editions · Norwich"),
    ),
    copyright_page=(
        "First published in 2007 by Saltmarsh Editions",
        "12 Elm Hill, Norwich NR3 1HN",
        "Copyright © Gwen Pritchard 2007",
        "The right of Gwen Pritchard to be identified as the author of this work has been asserted.",
        "A CIP catalogue record for this book is available from the British Library",
        "Typeset in Minion by the author",
        "Printed and bound in Malta by Gutenberg Press",
    ),
    parts=(
        Part(
            "",
            chapters(
                (
                    "January: Ice",
                    "February: Geese",
                    "March: The First Song",
                    "April: Arrivals",
                    "May: Nests",
                    "June: Short Nights",
                    "July: Silence",
                    "August: Moult",
                    "September: Gathering",
                    "October: Gales",
                    "November: Fieldfares",
                    "December: Lamplight",
                ),
                paragraphs=6,
            ),
        ),
    ),
    front=("half_title", "blank", "title_page", "copyright", "toc", "epigraph", "recto"),
    front_numbers="none",
    contents_heading="",
    leader="spaces",
    narrow=30,
    heading=((20, "{t}"),),
    number_at="foot-centre",
    header="none",
    number_on_openings="none",
)

DASHES = Design(
    name="dashed-numbers",
    title="Under the Elms",
    authors=("Frances Wren",),
    publisher="Cobden-Sanders",
    place="London",
    year=1931,
    title_page=(
        (0.2, 26, "UNDER THE ELMS"),
        (0.28, 8, "BY"),
        (0.32, 13, "FRANCES WREN"),
        (0.84, 10, "LONDON"),
        (0.87, 10, "COBDEN-SANDERS"),
        (0.9, 9, "MCMXXXI"),
    ),
    copyright_page=(
        "First published 1931",
        "Second impression 1931",
        "Printed in Great Britain by Hazell, Watson & Viney Ltd.",
        "London and Aylesbury",
    ),
    parts=(Part("", chapters(("The House", "The Orchard", "Visitors", "The Fire", "Afterwards"), paragraphs=14)),),
    front=("half_title", "blank", "title_page", "copyright", "toc", "recto"),
    entry="Chapter {n}. {t}",
    leader="spaced",
    heading=((12, "Chapter {w}"), (16, "{t}")),
    number_at="foot-centre",
    number_form="– {} –",
    number_on_openings="same",
    header="none",
)

JOURNAL = Design(
    name="two-column-proceedings",
    title="Proceedings of the Third Workshop on Small Machines",
    authors=("Kenji Mori", "Sofia Lindqvist"),
    publisher="Society for Small Machines",
    place="Geneva",
    year=2015,
    width=595,
    height=842,
    size=9.5,
    columns=2,
    title_page=(
        (0.2, 26, "*Proceedings of the"),
        (0.245, 26, "*Third Workshop on Small Machines"),
        (0.4, 11, "Edited by"),
        (0.43, 13, "Kenji Mori"),
        (0.455, 13, "Sofia Lindqvist"),
        (0.84, 11, "Society for Small Machines"),
        (0.865, 10, "Geneva, 2015"),
    ),
    copyright_page=(
        "© 2015 Society for Small Machines",
        "Copyright of the papers remains with their authors. Permission to copy for private use is granted.",
        "Published by Society for Small Machines, Geneva",
    ),
    parts=(
        Part(
            "",
            tuple(
                Chapter(title, author=author, numbered=False, paragraphs=22)
                for title, author in (
                    ("Gears That Learn", "R. Patel, L. Sommer"),
                    ("On the Friction of Paper Bearings", "M. Ito"),
                    (
                        "A Survey of Hand-Cranked Calculators and the Workshops That Built Them",
                        "J. Ortega, B. Quist, T. Ahmed",
                    ),
                    ("Clocks Without Springs", "D. Novak"),
                    ("Teaching with Automata", "E. Laurent"),
                    ("The Cost of Precision", "S. Weiss, H. Chan"),
                )
            ),
        ),
    ),
    front=("title_page", "copyright", "preface", "toc", "recto"),
    contents_heading="Table of Contents",
    author_below=True,
    leader="dots",
    heading=((17, "*{t}"),),
    plain_heading="*{t}",
    sink=0.14,
    header="none",
    number_at="foot-centre",
    recto=False,
)

LONG_TEXT = Design(
    name="long-textbook",
    title="Foundations of Coastal Geology",
    authors=("Martin Sayers",),
    publisher="Academic House",
    place="San Diego",
    year=1996,
    isbn=(OLD[0],),
    width=468,
    height=684,
    title_page=(
        (0.15, 26, "Foundations of"),
        (0.2, 26, "Coastal Geology"),
        (0.27, 11, "Third Edition"),
        (0.4, 14, "Martin Sayers"),
        (0.43, 9, "Department of Earth Sciences"),
        (0.45, 9, "University of Northumbria"),
        (0.84, 12, "ACADEMIC HOUSE"),
        (0.87, 8, "San Diego   London   Boston   New York   Sydney   Tokyo   Toronto"),
    ),
    copyright_page=(
        "This book is printed on acid-free paper.",
        "Copyright © 1996, 1985, 1974 by ACADEMIC HOUSE",
        "All Rights Reserved.",
        "No part of this publication may be reproduced or transmitted in any form or by any means.",
        "Academic House, Inc.",
        "525 B Street, Suite 1900, San Diego, California 92101",
        "Library of Congress Catalog Card Number: 95-80312",
        f"International Standard Book Number: {OLD[1]}",
        "PRINTED IN THE UNITED STATES OF AMERICA",
        "96 97 98 99 00 01 EB 9 8 7 6 5 4 3 2 1",
    ),
    parts=(
        Part("Processes", with_sections(TECHNICAL[:3]), page=True),
        Part("Forms", with_sections(TECHNICAL[3:6]), page=True),
        Part(
            "Histories",
            tuple(
                Chapter(
                    t,
                    (
                        Section("Evidence"),
                        Section("Models", ("Simple Models", "Models with Memory")),
                        Section("Open Questions"),
                    ),
                )
                for t in SCHOLARLY[:5]
            ),
        ),
    ),
    paragraphs=9,
    front=(
        "half_title",
        "blank",
        "title_page",
        "copyright",
        "dedication",
        "blank",
        "toc",
        "recto",
        "preface:Preface to the Third Edition",
        "recto",
    ),
    entry="{n} {t}",
    section_entry="{n}.{m} {t}",
    part_entry="PART {R} {T}",
    part_numbered=False,
    contents_header=True,
    leader="quad",
    heading=((13, "CHAPTER {n}"), (20, "*{t}")),
    part_page=((16, "PART {R}"), (24, "{T}")),
    header="chapter",
    header_case="plain",
    header_at="beside",
    number_at="head-outer",
    back=("glossary", "bibliography", "index"),
)

PAMPHLET = Design(
    name="pamphlet",
    title="How to Keep Bees",
    authors=("John Applegarth",),
    publisher=None,
    place=None,
    year=1958,
    title_page=((0.3, 26, "HOW TO KEEP BEES"), (0.42, 9, "by"), (0.46, 13, "John Applegarth"), (0.9, 9, "1958")),
    copyright_page=(),
    parts=(Part("", chapters(("The Hive", "Spring", "Honey"), paragraphs=5)),),
    front=("title_page", "blank"),
    front_numbers="none",
    heading=((14, "{t}"),),
    header="none",
    number_at="foot-centre",
    recto=False,
    number_on_openings="same",
)

BRIEF_REPORT = Design(
    name="working-paper",
    title="Wages and Tides",
    subtitle="Seasonal Labour in Three Ports",
    authors=("Lena Fischer", "Paul Oyelaran"),
    publisher=None,
    place=None,
    year=2020,
    width=595,
    height=842,
    size=11,
    title_page=(
        (0.15, 18, "Wages and Tides:"),
        (0.18, 18, "Seasonal Labour in Three Ports"),
        (0.26, 12, "Lena Fischer"),
        (0.29, 12, "Paul Oyelaran"),
        (0.34, 11, "March 2020"),
    ),
    copyright_page=(),
    parts=(Part("", chapters(("Introduction", "Data", "Findings", "Conclusion"), paragraphs=7)),),
    front=("title_page",),
    front_numbers="arabic",
    restart=False,
    heading=((14, "<*{n}. {t}"),),
    sink=0.13,
    header="none",
    number_at="foot-centre",
    recto=False,
    number_on_openings="same",
)
WORKING = BRIEF_REPORT

RESTARTS = Design(
    name="restarts-in-parts",
    title="The Parish Registers of Stowbridge",
    subtitle="Baptisms, Marriages and Burials",
    authors=("William Cade",),
    publisher="Stowbridge Record Society",
    place="Stowbridge",
    year=1899,
    title_page=(
        (0.15, 12, "THE"),
        (0.19, 22, "PARISH REGISTERS OF STOWBRIDGE"),
        (0.26, 11, "BAPTISMS, MARRIAGES AND BURIALS"),
        (0.4, 9, "TRANSCRIBED AND EDITED BY"),
        (0.43, 12, "WILLIAM CADE, M.A., F.S.A."),
        (0.8, 10, "STOWBRIDGE"),
        (0.83, 10, "PRINTED FOR THE STOWBRIDGE RECORD SOCIETY"),
        (0.86, 10, "1899"),
    ),
    copyright_page=(
        "The impression is limited to one hundred and fifty copies, of which this is number ninety-one, for "
        "the Society’s members.",
    ),
    parts=(
        Part("Baptisms", chapters(("The First Book", "The Second Book"), paragraphs=20)),
        Part("Marriages", chapters(("The Old Register", "The Banns"), paragraphs=20)),
        Part("Burials", chapters(("In the Church", "In the Churchyard"), paragraphs=20)),
    ),
    front=("half_title", "blank", "title_page", "copyright", "preface", "recto"),
    restart_in_parts=True,
    heading=((14, "{T}."),),
    part_page=((20, "{T}."),),
    header="title/part",
    number_at="head-outer",
    number_on_openings="none",
    recto=False,
)

COVERED = Design(
    name="cover-and-series",
    title="Lighthouses of the Western Isles",
    authors=("Fiona MacRae",),
    publisher="Heather Publications",
    place="Edinburgh",
    year=1984,
    isbn=(isbn10("086241123")[0],),
    title_page=(
        (0.1, 10, "SCOTTISH COASTAL STUDIES 4"),
        (0.25, 24, "Lighthouses of the"),
        (0.3, 24, "Western Isles"),
        (0.45, 14, "Fiona MacRae"),
        (0.5, 9, "with drawings by Iain Ross"),
        (0.86, 11, "Heather Publications"),
        (0.885, 10, "Edinburgh"),
    ),
    copyright_page=(
        "First published 1984 by Heather Publications Ltd, 17 Jeffrey Street, Edinburgh EH1 1DR",
        "Reprinted 1986, 1991",
        "© Fiona MacRae 1984",
        "All rights reserved",
        f"ISBN {isbn10('086241123')[1]}",
        "Typeset by Hewer Text Composition Services",
        "Printed and bound by Billing & Sons Ltd, Worcester",
    ),
    parts=(Part("", chapters(SEA[:8])),),
    front=("half_title", "frontispiece", "title_page", "copyright", "toc", "foreword", "acknowledgements", "recto"),
    front_numbers="arabic",
    restart=False,
    contents_heading="Contents",
    entry="{n}  {t}",
    leader="dots",
    heading=((30, "{n}"), (16, "{t}")),
    header="title/chapter",
    header_case="italic",
    header_rule=True,
    number_at="foot-outer",
    number_on_openings="foot",
    recto=False,
    back=("glossary", "bibliography:Select Bibliography", "index"),
)

TRANSLATED = Design(
    name="translated-classic",
    title="The Peasant and the King",
    subtitle="Tales from the Eastern Marches",
    authors=("Mikhail Orlov",),
    publisher="Penfold Books",
    place="Harmondsworth",
    year=1974,
    title_page=(
        (0.12, 12, "MIKHAIL ORLOV"),
        (0.25, 24, "The Peasant and the King"),
        (0.31, 12, "Tales from the Eastern Marches"),
        (0.42, 10, "TRANSLATED WITH AN INTRODUCTION BY"),
        (0.45, 11, "ROSAMUND EDGE"),
        (0.88, 11, "PENFOLD BOOKS"),
    ),
    copyright_page=(
        "Penfold Books Ltd, Harmondsworth, Middlesex, England",
        "Penfold Books Inc., 7110 Ambassador Road, Baltimore, Maryland 21207, U.S.A.",
        "This translation first published 1974",
        "Copyright © Rosamund Edge, 1974",
        "All rights reserved",
        "Made and printed in Great Britain by Hazell Watson & Viney Ltd, Aylesbury, Bucks",
        "Set in Monotype Bembo",
        "This book is sold subject to the condition that it shall not, by way of trade or otherwise, be lent, "
        "re-sold, hired out, or otherwise circulated without the publisher’s prior consent",
    ),
    parts=(
        Part(
            "",
            chapters(
                (
                    "The Miller’s Oath",
                    "Three Brothers",
                    "The Iron Wolf",
                    "A King in Rags",
                    "The Well at the End of the Road",
                    "The Clever Daughter",
                ),
                numbered=False,
            ),
        ),
    ),
    front=("half_title", "blank", "title_page", "copyright", "toc", "recto", "introduction"),
    front_numbers="arabic",
    restart=False,
    front_numbered=False,
    contents_heading="CONTENTS",
    entry_case="upper",
    leader="spaces",
    heading=((14, "{T}"),),
    plain_heading="{T}",
    header="title/chapter",
    number_at="foot-centre",
    recto=False,
    back=("notes",),
)

BOOKS: tuple[Design, ...] = (
    *(MODERN_NOVEL, VICTORIAN, MONOGRAPH, IN_PARTS, PARTS_FLUSH, ANTHOLOGY, MANUAL, REPORT, COMPOSITE, GERMAN_NOVEL),
    *(FRENCH_ESSAY, LEFT_NUMBERS, COMMA, TWO_ROWS, NO_HEADING, DASHES, JOURNAL, LONG_TEXT, PAMPHLET, WORKING, RESTARTS),
    *(COVERED, TRANSLATED),
)
