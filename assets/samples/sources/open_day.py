"""Slides: landscape pages, few words, a bar chart, DejaVu Sans embedded as a subset."""

from reportlab.lib import colors
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

TITLE = "Open Day 2030: What We Do All Year"
WIDTH, HEIGHT = 960, 540
FONTS = "/usr/share/fonts/truetype/dejavu"
GREEN, PALE, INK = colors.HexColor("#2f5d3a"), colors.HexColor("#e6efe0"), colors.HexColor("#1d2b20")

SLIDES = [
    ("The year in numbers", [
        "In 2029 members borrowed 1,127 packets and returned 2,008.",
        "83 volunteers gave 5,210 hours of work.",
        "640 visitors came to the last open day.",
        "The collection grew by 143 accessions, most of them peas.",
    ]),
    ("Programme for Sunday, 8 September", [
        "10:00 Doors open, bread from the wood oven",
        "11:00 Threshing with flails, led by Caspar Lindqvist",
        "13:30 Tour of the cold room, coats are lent at the door",
        "15:00 Auction of surplus squash in aid of the roof",
        "16:30 Naming of the new barley by the youngest visitor",
    ]),
    ("Electricity from the roof", [
        "The solar panels on the tram shed produce 22 megawatt hours a year.",
        "The cold room needs 14 of them; the rest is sold to the bakery next door.",
        "They were paid for by 96 citizens, who each gave 250 euros.",
        "A battery is planned because the compressor also runs at night.",
    ]),
]
PACKETS = [("2025", 702), ("2026", 811), ("2027", 934), ("2028", 1015), ("2029", 1127)]
GOALS = [
    "We want to keep 5,000 accessions by the year 2033.",
    "Every school in the valley should have a seed shelf.",
    "The next big task is a second cold room in the old ticket hall.",
]


def build(path):
    pdfmetrics.registerFont(TTFont("Sans", f"{FONTS}/DejaVuSans.ttf"))
    pdfmetrics.registerFont(TTFont("Sans-Bold", f"{FONTS}/DejaVuSans-Bold.ttf"))
    canvas = Canvas(path, pagesize=(WIDTH, HEIGHT), invariant=1)
    canvas.setTitle(TITLE)
    canvas.setAuthor("Noor Halloran")

    def frame(title, number):
        canvas.setFillColor(PALE)
        canvas.rect(0, 0, WIDTH, HEIGHT, stroke=0, fill=1)
        canvas.setFillColor(GREEN)
        canvas.rect(0, HEIGHT - 96, WIDTH, 96, stroke=0, fill=1)
        canvas.setFillColor(colors.white)
        canvas.setFont("Sans-Bold", 32)
        canvas.drawString(56, HEIGHT - 62, title)
        canvas.setFillColor(INK)
        canvas.setFont("Sans", 11)
        canvas.drawString(56, 24, "Tillwick Seed Library, open day 2030")
        canvas.drawRightString(WIDTH - 56, 24, str(number))

    def bullets(lines, y, size=20):
        canvas.setFont("Sans", size)
        for line in lines:
            canvas.setFillColor(GREEN)
            canvas.circle(66, y + size * 0.34, 4.5, stroke=0, fill=1)
            canvas.setFillColor(INK)
            canvas.drawString(84, y, line)
            y -= size * 2.6

    for number, (title, lines) in enumerate(SLIDES, 1):
        frame(title, number)
        bullets(lines, HEIGHT - 176)
        canvas.showPage()

    frame("Packets lent, and what comes next", len(SLIDES) + 1)
    canvas.setFont("Sans", 13)
    for index, (year, count) in enumerate(PACKETS):
        x, height = 90 + index * 160, count / 1127 * 150
        canvas.setFillColor(GREEN)
        canvas.rect(x, 250, 90, height, stroke=0, fill=1)
        canvas.setFillColor(INK)
        canvas.drawCentredString(x + 45, 256 + height, f"{count:,}")
        canvas.drawCentredString(x + 45, 231, year)
    bullets(GOALS, 180, 18)
    canvas.showPage()
    canvas.save()
