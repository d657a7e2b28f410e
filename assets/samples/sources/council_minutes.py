"""Minutes of a meeting: hanging item numbers, decisions in bold, sans serif."""

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

TITLE = "Minutes of the Council Meeting of 12 March 2030"
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10.2, leading=14.4, spaceAfter=5)
ITEM = ParagraphStyle("item", parent=BODY, fontName="Helvetica-Bold", fontSize=11, spaceBefore=9)
HEAD = ParagraphStyle("head", parent=ITEM, fontSize=16, leading=20, spaceAfter=8)

ATTENDANCE = [
    ("Present", "Dilys Aubrey (chair), Tobias Renn (treasurer), Marguerite Voss (secretary), Ottoline Pembrey "
                "(curator), Caspar Lindqvist, Noor Halloran, Edwin Strake"),
    ("Apologies", "Ruud Haverkamp, who is in hospital with a broken ankle"),
    ("Place and time", "Reading room, 19:30 to 22:10"),
]

ITEMS = [
    ("1. Minutes of the last meeting",
     ["The minutes of 15 January 2030 were approved without changes."]),
    ("2. Accounts",
     ["Tobias Renn reported a balance of 31,902 euros on 28 February 2030, which is 2,640 euros more than a year before.",
      "The largest gift of the winter came from the brewery in Ambleford, which gave 5,000 euros for the barley collection."]),
    ("3. Compressor of the cold room",
     ["The compressor is eighteen years old and failed twice in January.",
      "Two offers were on the table: one of 6,150 euros from Pollard and Sons, and one of 7,480 euros from Nordlicht Refrigeration.",
      "The council chose the dearer offer because it includes a warranty of ten years and a replacement within twelve hours.",
      "<b>Decision:</b> the order goes to Nordlicht Refrigeration; six votes in favour, one abstention. "
      "The new machine is to be installed in the week of 22 April."]),
    ("4. Roof of the packing room",
     ["Edwin Strake showed photographs of the slipped slates above the packing room.",
      "The repair was put off until August because swifts nest under the eaves and must not be disturbed.",
      "Until then a tarpaulin is to be fixed over the north corner."]),
    ("5. Opening on Sundays",
     ["Noor Halloran proposed to open the reading room on the first Sunday of every month.",
      "The proposal was rejected by four votes to three, as no volunteers could be named for the shift.",
      "It may be brought again in the autumn."]),
    ("6. The lost ledger",
     ["The accession ledger of 1994, missing for eleven years, has been found in the piano stool of the late Hester Lorimer.",
      "Marguerite Voss will copy it by hand before it goes to the binder, since several pages are loose.",
      "It shows that accession 0207, until now called a turnip, is a swede."]),
    ("7. Potatoes",
     ["Three potato accessions were lost to late blight in the autumn: Blue Parson, Carrow Kidney and Old Lantern.",
      "Duplicates of the first two exist in Ambleford.",
      "Old Lantern has to be considered lost unless a member still grows it; the secretary will write to all members."]),
    ("8. Open day",
     ["The open day will be held on Sunday, 8 September 2030.",
      "Caspar Lindqvist takes charge of the threshing demonstration and asks for four strong helpers."]),
    ("9. Any other business",
     ["The chair reminded everyone that the stair door must stay shut, for the sake of the sieves and of the cat.",
      "The next meeting takes place on 14 May 2030 at half past seven in the reading room."]),
]


def build(path):
    document = SimpleDocTemplate(path, pagesize=A4, title=TITLE, author="Marguerite Voss", invariant=1,
                                 leftMargin=28 * mm, rightMargin=28 * mm, topMargin=24 * mm, bottomMargin=24 * mm)
    story = [Paragraph("Tillwick Seed Library", BODY), Paragraph(TITLE, HEAD)]
    rows = [[Paragraph(f"<b>{label}</b>", BODY), Paragraph(text, BODY)] for label, text in ATTENDANCE]
    table = Table(rows, colWidths=[32 * mm, 122 * mm], hAlign="LEFT")
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
    story += [table, Spacer(1, 4 * mm)]
    for heading, paragraphs in ITEMS:
        story.append(Paragraph(heading, ITEM))
        story += [Paragraph(text, BODY) for text in paragraphs]
    story += [Spacer(1, 10 * mm), Paragraph("Signed: Marguerite Voss, secretary. Countersigned: Dilys Aubrey, chair.", BODY)]

    def footer(canvas, page):
        canvas.setFont("Helvetica", 8)
        canvas.drawString(28 * mm, 14 * mm, "Council minutes 2030/2")
        canvas.drawRightString(A4[0] - 28 * mm, 14 * mm, f"Sheet {page.page}")

    document.build(story, onFirstPage=footer, onLaterPages=footer)
