"""A price list: mostly ruled tables, with notes in prose."""

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

TITLE = "Price List 2030"
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13, spaceAfter=4)
HEAD = ParagraphStyle("head", parent=BODY, fontName="Helvetica-Bold", fontSize=12, spaceBefore=8, spaceAfter=5)
NAME = ParagraphStyle("name", parent=HEAD, fontSize=20, leading=24)

SEEDS = [
    ("Code", "Variety", "Kind", "Packet", "Price", "Sow"),
    ("B-011", "Lorimer's Black", "broad bean", "60 g", "3.20", "March or May"),
    ("B-027", "Mill Holm Pearl", "broad bean", "60 g", "3.40", "March"),
    ("B-102", "Red Sexton", "runner bean", "45 g", "3.60", "mid May"),
    ("P-008", "Tall Deacon", "marrowfat pea", "70 g", "2.90", "April"),
    ("P-015", "Grey Widow", "field pea", "80 g", "2.70", "April"),
    ("K-003", "Terrace Kale", "kale", "2 g", "2.50", "June"),
    ("K-019", "Frost Bishop", "savoy", "2 g", "2.80", "May"),
    ("R-006", "Copper Globe", "beetroot", "8 g", "2.40", "May"),
    ("R-031", "Long Sorrow", "parsnip", "5 g", "2.60", "March"),
    ("T-044", "Depot Yellow", "tomato", "0.3 g", "3.90", "February"),
    ("T-052", "Tram Driver", "tomato", "0.3 g", "3.90", "February"),
    ("L-001", "Winter Conductor", "lettuce", "1 g", "2.20", "August"),
    ("G-070", "Ambleford Naked", "oat", "120 g", "4.10", "April"),
    ("G-088", "Six-Row Martin", "barley", "120 g", "4.10", "April"),
]
SERVICES = [
    ("Service", "Members", "Others", "Takes"),
    ("Germination test, 50 seeds", "9.00", "14.50", "10 days"),
    ("Cleaning with the old winnower, per 10 kg", "6.50", "11.00", "1 day"),
    ("Drying to store moisture, per tray", "4.00", "7.00", "2 weeks"),
    ("Identification under the lens", "free", "12.00", "1 week"),
    ("Cold storage, per jar and year", "5.50", "8.00", "-"),
    ("Hire of the pedal thresher, per day", "18.00", "30.00", "-"),
]
COURSES = [
    ("Course", "Teacher", "Date", "Fee"),
    ("Saving seed for beginners", "Noor Halloran", "27 April", "24.00"),
    ("Grafting apples", "Edwin Strake", "16 March", "32.00"),
    ("Seed saving weekend", "Ottoline Pembrey", "5 and 6 October", "68.00"),
    ("Drawing seeds in ink", "Marguerite Voss", "9 November", "28.00"),
]


def ruled(rows, widths, right):
    table = Table(rows, colWidths=[width * mm for width in widths], repeatRows=1, hAlign="LEFT")
    style = [
        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 9), ("FONT", (0, 1), (-1, -1), "Helvetica", 9),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#dfe8d8")),
        ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#7a8a70")),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, colors.HexColor("#f5f8f2")]),
    ]
    style += [("ALIGN", (column, 0), (column, -1), "RIGHT") for column in right]
    table.setStyle(TableStyle(style))
    return table


def build(path):
    document = SimpleDocTemplate(path, pagesize=A4, title=f"Tillwick Seed Library: {TITLE}", author="Tobias Renn",
                                 invariant=1, leftMargin=22 * mm, rightMargin=22 * mm, topMargin=20 * mm, bottomMargin=20 * mm)
    text = lambda content: Paragraph(content, BODY)  # noqa: E731
    story = [
        Paragraph(TITLE, NAME),
        text("All prices are in euros and valid from 1 February 2030 to 31 January 2031."),
        text("Lending is free for members; packets are sold only to those who do not want to return seed."),
        Paragraph("Seed packets", HEAD),
        ruled(SEEDS, (18, 38, 32, 20, 18, 32), (3, 4)),
        Spacer(1, 4 * mm),
        text("Postage is 3.75 euros for up to ten packets and free for orders above 45 euros."),
        text("Orders are posted on Wednesdays only, since that is the day when the van of the dairy goes to the station."),
        text("Tall Deacon is short this year: the wood pigeons took half of the crop, and each customer gets one packet."),
        PageBreak(),
        Paragraph("Services", HEAD),
        ruled(SERVICES, (82, 24, 24, 28), (1, 2)),
        Spacer(1, 4 * mm),
        text("Members get a second test of the same sample at half price."),
        text("The pedal thresher is handed out against a deposit of 100 euros and must come back swept."),
        Paragraph("Courses", HEAD),
        ruled(COURSES, (58, 42, 38, 20), (3,)),
        Spacer(1, 4 * mm),
        text("Each course takes twelve people, and lunch is included in the fee."),
        text("A place that is cancelled less than a week before the course is not refunded."),
        Paragraph("Guest room", HEAD),
        text("The guest room above the packing room costs 31 euros a night, with breakfast 38 euros."),
        text("It has two beds and a view of the old turntable, and it cannot be booked in September."),
        Paragraph("Membership", HEAD),
        text("Membership costs 40 euros a year, 15 euros for pupils and students, and nothing for those who give ten "
             "hours of work."),
    ]
    document.build(story)
