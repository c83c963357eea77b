"""Words that made texts are put together from, beside wordfreq's lists."""

from __future__ import annotations


def _split(block: str) -> tuple[str, ...]:
    """The pieces between bars; a line's end is a bar, too."""
    return tuple(piece.strip() for line in block.strip().splitlines() for piece in line.split(" ¦ "))


PHRASES = _split("""
Date ¦ Name ¦ Address ¦ City ¦ State ¦ Zip Code ¦ Phone ¦ Telephone ¦ Tel ¦ Fax ¦ Fax No. ¦ To
From ¦ CC ¦ Subject ¦ Re ¦ Attn ¦ Signature ¦ Signed ¦ Title ¦ Company ¦ Department ¦ Division
Position ¦ Name of account ¦ Brand(s) ¦ Account No. ¦ Account Number ¦ Invoice No ¦ Invoice #
Invoice Date ¦ Due Date ¦ Order No. ¦ P.O. Number ¦ Reference ¦ Ref. No. ¦ Quantity ¦ Qty
Description ¦ Unit Price ¦ U/Price ¦ S/Price ¦ Amount ¦ Amount (RM) ¦ Amt ¦ Total ¦ Sub Total
Subtotal ¦ Grand Total ¦ Total Due ¦ Balance ¦ Balance Due ¦ Discount ¦ Tax ¦ VAT ¦ TVA ¦ MwSt.
GST ¦ GST 6% ¦ GST ID ¦ GST Reg No ¦ Tax Invoice ¦ Simplified Tax Invoice ¦ Receipt ¦ Receipt No
Cash ¦ Change ¦ Cash Received ¦ Change Due ¦ Rounding ¦ Rounding Adj. ¦ Rounding Adjustment
Total Sales (Inclusive of GST) ¦ Total Sales (Excluding GST) ¦ Total Qty ¦ Item ¦ Item(s) ¦ Code
Tax Code ¦ Tax Amount ¦ GST Summary ¦ Cashier ¦ Counter ¦ Terminal ¦ Table No. ¦ Member ¦ Points
Card No. ¦ Approval Code ¦ Visa ¦ Mastercard ¦ Debit Card ¦ Credit Card ¦ Payment Mode ¦ Paid
Unpaid ¦ Thank you ¦ Thank You. Please Come Again ¦ THANK YOU! ¦ Goods sold are not returnable
Goods sold are not refundable or exchangeable ¦ Please keep this receipt
Exchange are allowed within 7 days with receipt ¦ Terms and Conditions ¦ Terms ¦ Conditions ¦ Page
Page 1 of 3 ¦ Confidential ¦ Privileged and Confidential ¦ Draft ¦ Final ¦ Approved ¦ Approved by
Prepared by ¦ Reviewed by ¦ Checked by ¦ Requested by ¦ Received ¦ Remarks ¦ Comments ¦ Notes
Instructions ¦ Summary ¦ Introduction ¦ Conclusion ¦ References ¦ Abstract ¦ Table 1 ¦ Figure 2
Appendix A ¦ Purpose ¦ Objective ¦ Background ¦ Project ¦ Project No. ¦ Project Title ¦ Budget
Estimated Cost ¦ Actual Cost ¦ Start Date ¦ End Date ¦ Completion Date ¦ Effective Date
Expiration Date ¦ Date of Birth ¦ Age ¦ Sex ¦ Male ¦ Female ¦ Marital Status ¦ Nationality
Occupation ¦ Employer ¦ Social Security No. ¦ Passport No. ¦ Driver's License ¦ E-mail
Email Address ¦ Website ¦ Yes ¦ No ¦ Yes / No ¦ Other ¦ Other (specify) ¦ If yes, please explain
Please print ¦ Please check one ¦ Check here ¦ For office use only ¦ OFFICE USE ONLY
Do not write below this line ¦ Sample ¦ Sample No. ¦ Test ¦ Test Date ¦ Test Method ¦ Result
Results ¦ Report ¦ Report No. ¦ Laboratory ¦ Method ¦ Material ¦ Product ¦ Product Name ¦ Model
Serial No. ¦ Size ¦ Color ¦ Weight ¦ Volume ¦ Length ¦ Width ¦ Height ¦ Temperature ¦ Pressure
Market ¦ Market Share ¦ Region ¦ District ¦ Territory ¦ Retail ¦ Wholesale ¦ Store Name ¦ Chain
Number of Stores ¦ No. of Stores ¦ Type of Promotion ¦ Promotion ¦ Advertising ¦ Media ¦ Circulation
Space ¦ Insertion Date ¦ Issue Date ¦ Rate ¦ Cost ¦ Price ¦ Net ¦ Gross
Number of pages including this page ¦ Number of pages (including cover) ¦ Facsimile
FAX TRANSMITTAL ¦ TELECOPY ¦ MEMORANDUM ¦ MEMO ¦ Inter-Office Correspondence ¦ Letter
Dear Sir or Madam ¦ Sincerely ¦ Yours truly ¦ Best regards ¦ Enclosure ¦ Encl. ¦ cc:
Date de naissance ¦ Nom ¦ Prénom ¦ Adresse ¦ Montant ¦ Quantité ¦ Désignation ¦ Prix unitaire
Total TTC ¦ Total HT ¦ Merci de votre visite ¦ À payer ¦ Réf. ¦ N° de facture ¦ Facture ¦ Reçu
Signature du client ¦ Rechnung ¦ Rechnungsnr. ¦ Datum ¦ Betrag ¦ Summe ¦ Menge ¦ Straße
Vielen Dank für Ihren Einkauf ¦ Unterschrift ¦ Geburtsdatum ¦ Name, Vorname ¦ Fecha ¦ Nombre
Dirección ¦ Cantidad ¦ Importe ¦ Totale
""")
"""Labels of forms and receipts, and headings."""

SIGNS = _split("""
EXIT ¦ ENTRANCE ¦ OPEN ¦ CLOSED ¦ SALE ¦ STOP ¦ PUSH ¦ PULL ¦ NO PARKING ¦ NO SMOKING ¦ CAUTION
DANGER ¦ PRIVATE ¦ RESTROOM ¦ TOILET ¦ INFORMATION ¦ TICKETS ¦ PARKING ¦ TAXI ¦ BUS STOP ¦ WAY OUT
MIND THE GAP ¦ KEEP LEFT ¦ SLOW ¦ FREE ¦ NEW ¦ 50% OFF ¦ BUY 1 FREE 1 ¦ HOTEL ¦ BAR ¦ CAFE ¦ PIZZA
COFFEE ¦ BOOKS ¦ MARKET ¦ STATION ¦ PLATFORM ¦ AIRPORT ¦ HOSPITAL ¦ POLICE ¦ BANK ¦ POST OFFICE
PHARMACY ¦ LEVEL 2 ¦ GATE B12 ¦ LIFT ¦ STAIRS
""")
"""What boards and doors say."""

CURRENCIES = _split("""
$ ¦ € ¦ £ ¦ RM ¦ USD ¦ EUR ¦  ¦ CHF ¦ US$ ¦ ¥ ¦ S$ ¦ Rs. ¦ CAD ¦ $ ¦ € ¦ ₹ ¦ ₩ ¦ ₺ ¦ ₽ ¦ ¢ ¦ ₫ ¦ ₱ ¦ ¥
""")
"""Before an amount; the empty one is none."""

MONTHS = _split("""
Jan ¦ Feb ¦ Mar ¦ Apr ¦ May ¦ Jun ¦ Jul ¦ Aug ¦ Sep ¦ Oct ¦ Nov ¦ Dec ¦ January ¦ February ¦ March
April ¦ June ¦ July ¦ August ¦ September ¦ October ¦ November ¦ December ¦ janvier ¦ février ¦ mars
avril ¦ août ¦ décembre ¦ Januar ¦ März ¦ Mai ¦ Juni ¦ Oktober ¦ Dezember ¦ enero ¦ agosto
dicembre ¦ luglio
""")

DAYS = _split("""
Mon ¦ Tue ¦ Wed ¦ Thu ¦ Fri ¦ Sat ¦ Sun ¦ Monday ¦ Tuesday ¦ Wednesday ¦ Thursday ¦ Friday
Saturday ¦ Sunday ¦ lundi ¦ mardi ¦ Freitag
""")

UNITS = _split("""
kg ¦ g ¦ mg ¦ ml ¦ L ¦ cl ¦ cm ¦ mm ¦ m ¦ km ¦ pcs ¦ pc ¦ pkt ¦ box ¦ btl ¦ EA ¦ x ¦ oz ¦ lb ¦ ft
in ¦ kWh ¦ V ¦ W ¦ Hz ¦ MB ¦ GB ¦ % ¦ °C ¦ °F ¦ m² ¦ m³ ¦ µm
""")

FIRST_NAMES = _split("""
James ¦ Mary ¦ John ¦ Linda ¦ Robert ¦ Susan ¦ David ¦ Karen ¦ Peter ¦ Anna ¦ Thomas ¦ Julia
Michel ¦ Sophie ¦ Jean ¦ Marie ¦ Hans ¦ Ursula ¦ Jürgen ¦ José ¦ María ¦ Ahmad ¦ Siti ¦ Wei ¦ Ling
Kumar ¦ Priya ¦ Carlos ¦ Lucía ¦ Paolo ¦ Giulia ¦ René ¦ Chloé ¦ François ¦ Zoë ¦ Björn ¦ Łukasz
Ali ¦ Fatima ¦ Kenji ¦ Yuki ¦ Elena ¦ Ivan ¦ Olga ¦ Noor ¦ Tan ¦ Lim ¦ Wong ¦ Lee ¦ Goh
""")

LAST_NAMES = _split("""
Smith ¦ Johnson ¦ Brown ¦ Miller ¦ Davis ¦ Wilson ¦ Taylor ¦ Clark ¦ Lewis ¦ Walker ¦ Hall ¦ Young
King ¦ Wright ¦ Hill ¦ Scott ¦ Green ¦ Adams ¦ Baker ¦ Müller ¦ Schmidt ¦ Weber ¦ Fischer ¦ Schröder
Groß ¦ Dupont ¦ Lefèvre ¦ Moreau ¦ Girard ¦ García ¦ Martínez ¦ Rossi ¦ Bianchi ¦ Singh ¦ Abdullah
Rahman ¦ Ismail ¦ Chong ¦ Nguyen ¦ Kim ¦ Park ¦ Novák ¦ Kowalski ¦ O'Brien ¦ McDonald ¦ Van Dyke
van der Berg ¦ D'Angelo ¦ Saint-Pierre
""")

PLACES = _split("""
London ¦ Paris ¦ Berlin ¦ Chicago ¦ Boston ¦ Richmond ¦ Selangor ¦ Penang ¦ Ipoh ¦ Melaka
Singapore ¦ München ¦ Köln ¦ Zürich ¦ Genève ¦ Lyon ¦ Marseille ¦ Madrid ¦ Roma ¦ Milano ¦ Wien
Bruxelles ¦ Québec ¦ Toronto ¦ Sydney ¦ Dallas ¦ Durham ¦ Greensboro ¦ Winston-Salem ¦ Louisville
Washington ¦ New York ¦ Kuala Lumpur ¦ Johor Bahru ¦ Petaling Jaya ¦ Shah Alam ¦ Puchong ¦ Klang
""")

STREETS = _split("""
Street ¦ St. ¦ Road ¦ Rd ¦ Avenue ¦ Ave. ¦ Lane ¦ Drive ¦ Blvd ¦ Square ¦ Park ¦ Way ¦ Court ¦ Place
Plaza ¦ Close ¦ Crescent
""")

COMPANY_FORMS = _split("""
Ltd ¦ Ltd. ¦ Inc. ¦ Inc ¦ Corp. ¦ Corporation ¦ LLC ¦ GmbH ¦ AG ¦ S.A. ¦ SARL ¦ SDN ¦ BHD ¦ Sdn.
Bhd. ¦ ENTERPRISE ¦ TRADING ¦ & ¦ Co. ¦ & ¦ Sons ¦ Company ¦ Group ¦ Holdings ¦ Stores ¦ Supermarket
RESTAURANT ¦ CAFE ¦ Hardware ¦ Pharmacy ¦ Services ¦ International
""")

MARKS = _split("""
*** ¦ [X] ¦ [ ¦ ] ¦ [x] ¦ (a) ¦ (b) ¦ (1) ¦ (i) ¦ (ii) ¦ 1. ¦ 2. ¦ 3) ¦ A. ¦ B. ¦ • ¦ - ¦ – ¦ * ¦ #
## ¦ >> ¦ << ¦ -> ¦ = ¦ == ¦ --- ¦ ... ¦ … ¦ / ¦ | ¦ : ¦ ; ¦ ! ¦ ? ¦ & ¦ @ ¦ % ¦ + ¦ ( ¦ ) ¦ {} ¦ <>
~ ¦ ^ ¦ _ ¦ __ ¦ N/A ¦ n/a ¦ - ¦ / ¦ // ¦ 1/2 ¦ ½ ¦ § ¦ ¶ ¦ © ¦ ® ¦ ™ ¦ °C ¦ ✓ ¦ X
""")
"""Check boxes, bullets, numbering."""

COARSE_STEMS = _split("""
fuck ¦ shit ¦ dildo ¦ porn ¦ nigg ¦ cunt ¦ arsch ¦ boob ¦ pussy ¦ whore ¦ bitch ¦ rape ¦ nazi
merde ¦ puta ¦ ficken ¦ asshole ¦ wtf ¦ slut ¦ cock ¦ sexu ¦ suicid ¦ kokain
""")
"""Words that contain these are left out: contact sheets are shown to people."""

RECEIPT_TOTALS = _split("""
Total ¦ Sub Total ¦ SUBTOTAL ¦ TOTAL ¦ Total Amount ¦ Grand Total ¦ Cash ¦ CASH ¦ Change ¦ CHANGE
Rounding ¦ Rounding Adj ¦ Discount ¦ Tax ¦ GST 6% ¦ VAT 20% ¦ TVA 10% ¦ MwSt. 19%
Service Charge 10% ¦ Total Sales (Inclusive of GST) ¦ Total (Excluding GST) ¦ Total Qty ¦ Visa Card
Payment ¦ Amount Due ¦ Balance ¦ Total Savings ¦ TOTAL INCL. GST@6% ¦ Item(s) ¦ NET TOTAL
Total TTC ¦ Summe ¦ Betrag ¦ Rendu
""")

RECEIPT_FIELDS = _split("""
Invoice No ¦ Inv No. ¦ Date ¦ Time ¦ Cashier ¦ Counter ¦ Table ¦ Bill No ¦ Receipt # ¦ Doc No.
Terminal ¦ Member ¦ Ref. ¦ Salesperson ¦ Trans ¦ Till ¦ Server ¦ Guests ¦ Order ¦ POS ¦ Staff
Slip No. ¦ GST ID ¦ Tel ¦ Fax ¦ Station ¦ Customer ¦ Page ¦ Caisse ¦ Bon
""")

ITEM_HEADINGS = _split("""
Item|Qty|Price|Amount
Description|Qty|U.Price|Total
QTY|U/P|AMT|TAX
Code|Qty|S/Price|Amount|Tax
Article|Qté|P.U.|Montant
""")
"""Headings of the item table, a bar between its columns."""

RECEIPT_ENDINGS = _split("""
Thank You ¦ THANK YOU PLEASE COME AGAIN ¦ Thank you & have a nice day!
Goods sold are not returnable ¦ Please keep this receipt ¦ Exchange within 7 days with receipt
Merci de votre visite ¦ Vielen Dank! ¦ *** THANK YOU *** ¦ Price inclusive of GST ¦ E. & O. E.
Like us on Facebook ¦ Customer copy ¦ CUSTOMER COPY ¦ No refund ¦ Powered by ¦ See you again
Gracias por su compra ¦ Feedback: ¦ Hotline
""")

SALUTATIONS = _split("""
Dear Sir or Madam, ¦ To whom it may concern: ¦ Madame, Monsieur, ¦ Sehr geehrte Damen und Herren, ¦ Gentlemen:
""")

CLOSINGS = _split("""
Sincerely, ¦ Yours truly, ¦ Best regards, ¦ Cordialement, ¦ Mit freundlichen Grüßen ¦ Very truly yours,
""")

MEMO_FIELDS = _split("""
To: ¦ From: ¦ Subject: ¦ Re: ¦ CC: ¦ Date: ¦ Ref.: ¦ Attn: ¦ Objet : ¦ Betreff:
""")

INVOICE_TITLES = _split("""
INVOICE ¦ Invoice ¦ FACTURE ¦ Rechnung ¦ STATEMENT ¦ Purchase Order ¦ QUOTATION ¦ Delivery Note
""")

INVOICE_TOTALS = _split("""
Subtotal ¦ Tax ¦ VAT 20% ¦ Shipping ¦ Discount ¦ TOTAL ¦ Balance Due ¦ Total TTC ¦ MwSt. 19 % ¦ Paid
""")
