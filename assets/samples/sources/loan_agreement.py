"""A contract: numbered clauses and sub-clauses, serif, justified."""

from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

TITLE = "Loan Agreement for Barley Accessions"
BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=12, leading=17, alignment=TA_JUSTIFY, bulletFontSize=12, spaceAfter=6)
CLAUSE = ParagraphStyle("clause", parent=BODY, leftIndent=12 * mm)
HEAD = ParagraphStyle("head", parent=BODY, fontName="Times-Bold", fontSize=12, spaceBefore=8, keepWithNext=1)
NAME = ParagraphStyle("name", parent=HEAD, fontSize=17, leading=22, alignment=TA_CENTER, spaceAfter=12)

PREAMBLE = [
    "This agreement is made on 11 January 2030 between the Tillwick Seed Library, called the Library, and the "
    "Ambleford Botanic Garden, called the Garden.",
    "The Library owns a collection of barley that it cannot regenerate on its own land. The Garden has fields, "
    "staff and the wish to study it. The parties therefore agree as follows.",
]

CLAUSES = [
    ("Subject of the loan", [
        "The Library lends the Garden 140 accessions of barley, listed in the annex, with 200 seeds of each.",
        "The accessions remain the property of the Library at all times.",
    ]),
    ("Term", [
        "The loan begins on 1 February 2030 and lasts for five years.",
        "Either party may end the agreement with 90 days' notice in writing.",
    ]),
    ("Fee", [
        "The Garden pays a yearly fee of 2,250 euros, due on the last day of February.",
        "The fee is waived in any year in which the Garden returns fresh seed of at least forty accessions.",
    ]),
    ("Storage", [
        "The Garden stores the seed at a temperature that never rises above 15 degrees below zero.",
        "The store is fitted with two independent thermometers, whose records are sent to the Library every quarter.",
        "No accession is moved out of the store for longer than six hours except for sowing.",
    ]),
    ("Regeneration", [
        "Plots of different accessions are kept at least 200 metres apart from any other barley, because the "
        "six-rowed forms cross more often than the textbooks admit.",
        "At least 80 plants of each accession are harvested.",
        "The Garden keeps a specimen sheet of every accession that it sows.",
    ]),
    ("Loss and damage", [
        "The Garden reports the loss of any accession within 72 hours of its discovery.",
        "The Garden insures the collection for 85,000 euros against fire, water and theft.",
        "For each accession that is lost through neglect, the Garden pays 400 euros into the Library's field fund.",
    ]),
    ("Use of results", [
        "Results are published freely and name the Library as the source of the seed.",
        "Neither the seed nor anything bred from it is used commercially, and no protection of a variety is applied for.",
    ]),
    ("Return", [
        "At the end of the term the Garden returns every accession, cleaned, dried and labelled, to the tram depot "
        "on Cooper's Row.",
        "Accessions that come back late are charged at 35 euros per accession and week.",
    ]),
    ("Disputes", [
        "The parties first try to settle a dispute over a shared meal.",
        "If that fails, Professor Ines Calloway decides as the sole arbitrator, and her decision is final.",
    ]),
]


def build(path):
    document = SimpleDocTemplate(path, pagesize=A4, title=TITLE, author="Tillwick Seed Library", invariant=1,
                                 leftMargin=32 * mm, rightMargin=32 * mm, topMargin=28 * mm, bottomMargin=28 * mm)
    story = [Paragraph(TITLE, NAME)] + [Paragraph(text, BODY) for text in PREAMBLE]
    for number, (heading, clauses) in enumerate(CLAUSES, 1):
        story.append(Paragraph(f"§ {number} {heading}", HEAD))
        story += [Paragraph(text, CLAUSE, bulletText=f"{number}.{sub}") for sub, text in enumerate(clauses, 1)]
    lines = [["_" * 28, "_" * 28], ["Dilys Aubrey", "Leopold Marchbanks"], ["for the Library", "for the Garden"]]
    story.append(KeepTogether([Spacer(1, 14 * mm), Table(lines, colWidths=[73 * mm] * 2)]))

    def footer(canvas, page):
        canvas.setFont("Times-Italic", 9)
        canvas.drawCentredString(A4[0] / 2, 15 * mm, f"Loan agreement Library / Garden, page {page.page}")

    document.build(story, onFirstPage=footer, onLaterPages=footer)
