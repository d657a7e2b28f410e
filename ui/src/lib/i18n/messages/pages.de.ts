import type english from './pages.en';

const german: Record<keyof typeof english, string> = {
  'pages.page': 'Seite {page} von {title}',
  'pages.toolbar': 'Seite und Vergrößerung',
  'pages.previous': 'Vorige Seite',
  'pages.next': 'Nächste Seite',
  'pages.number': 'Seite',
  'pages.of': 'von {pages}',
  'pages.larger': 'Vergrößern',
  'pages.smaller': 'Verkleinern',
  'pages.fit': 'Auf Breite einpassen',
  'pages.loading': 'PDF wird geöffnet …',
  'pages.drawing': 'Seite wird gezeichnet …',
  'pages.marked': 'Die Textstelle ist auf Seite {page} markiert.',
  'pages.back': 'Zurück zur Textstelle auf Seite {page}',
  'pages.notFound': 'Die Textstelle ließ sich auf dieser Seite nicht markieren.',
  'pages.notFoundWhy': 'Die Seite zeichnet ihren Text anders, als er gelesen wurde. So lautet die Stelle:',
  'pages.noText': 'Der Text dieser Seite war beim Einlesen nicht lesbar, daher ist darauf nichts markiert.',
  'pages.failed': 'Das Dokument lässt sich nicht anzeigen',
  'pages.broken': 'Die Datei ist beschädigt oder keine PDF-Datei.',
  'pages.password': 'Die Datei verlangt jetzt ein Passwort.',
  'pages.noSuchPage.one': 'Die Datei hat nur noch {count} Seite.',
  'pages.noSuchPage.other': 'Die Datei hat nur noch {count} Seiten.',
  'pages.changed': 'Vermutlich wurde sie seit dem Einlesen geändert. Bitte neu einlesen.',
};
export default german;
