"""Domains that no company can have for itself, because anybody gets a name in them. Pure.

Publishing a record proves nothing here that should count: a provider of free mail, or of names below a suffix, would
take the addresses of all its customers. The list is short. What it lacks is still refused to everybody who doesn't
control the DNS of the domain itself; what it has too much, the owner can grant.
"""

from __future__ import annotations

MAIL = """
126.com 163.com aim.com aliyun.com aol.com arcor.de att.net bbox.fr bellsouth.net bigpond.com bk.ru bluemail.ch
bluewin.ch bol.com.br btinternet.com btopenworld.com centrum.cz charter.net comcast.net cox.net daum.net duck.com
earthlink.net eircom.net email.cz email.de email.it fastmail.com fastmail.fm foxmail.com free.fr freemail.hu
freenet.de frontier.com gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hanmail.net hey.com hotmail.ca
hotmail.co.uk hotmail.com hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com icloud.com inbox.com inbox.lv
inbox.ru interia.pl juno.com kpnmail.nl laposte.net libero.it list.ru live.ca live.co.uk live.com live.de live.fr
live.it live.nl lycos.com mac.com mail.com mail.de mail.ru mailbox.org mailinator.com me.com msn.com nate.com
naver.com netcologne.de netzero.net ntlworld.com o2.pl onet.pl online.de online.no optonline.net optusnet.com.au
orange.fr outlook.at outlook.com outlook.de outlook.es outlook.fr outlook.it outlook.jp passport.com planet.nl pm.me
posteo.de posteo.net proton.me protonmail.ch protonmail.com qq.com rambler.ru rediffmail.com rocketmail.com
rogers.com sapo.pt sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sky.com skynet.be sohu.com startmail.com
swissonline.ch sympatico.ca t-online.de talktalk.net telenet.be telia.com telus.net tiscali.it tlen.pl tuta.com
tuta.io tutamail.com tutanota.com tutanota.de ukr.net uol.com.br verizon.net virgilio.it virginmedia.com volny.cz
wanadoo.fr web.de windowslive.com windstream.net wp.pl xs4all.nl xtra.co.nz ya.ru yahoo.ca yahoo.co.in yahoo.co.jp
yahoo.co.uk yahoo.com yahoo.com.au yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru yeah.net
ymail.com ziggo.nl zoho.com zoho.eu zohomail.com
"""
MAIL_PROVIDERS = frozenset(MAIL.split())

BESIDES = """
netlify.app vercel.app web.app gob.ar gv.at or.at asn.au id.au adm.br art.br eng.br ind.br inf.br jus.br leg.br
med.br nom.br gob.cl appspot.com co.com de.com eu.com firebaseapp.com herokuapp.com onmicrosoft.com onrender.com
sharepoint.com uk.com us.com pages.dev workers.dev gob.es nom.es asso.fr gouv.fr nom.fr prd.fr tm.fr idv.hk go.id
or.id sch.id web.id firm.in gen.in ind.in nic.in res.in github.io gitlab.io ngrok.io go.it gov.it ed.jp go.jp gr.jp
lg.jp ne.jp or.jp go.ke or.ke sc.ke go.kr ne.kr or.kr pe.kr re.kr gob.mx azurewebsites.net cloudfront.net geek.nz
gen.nz govt.nz iwi.nz kiwi.nz maori.nz school.nz duckdns.org gob.pe aid.pl biz.pl info.pl waw.pl msk.ru spb.ru go.th
in.th mi.th or.th bbs.tr bel.tr k12.tr web.tr club.tw ebiz.tw game.tw idv.tw go.tz or.tz go.ug or.ug sc.ug ltd.uk
me.uk nhs.uk plc.uk police.uk sch.uk k12.us law.za nom.za school.za web.za
"""
SUFFIXES = frozenset(BESIDES.split())
"""Below these, registries and hosts give names to everybody; those of GENERIC are left out."""

GENERIC = frozenset(("ac", "co", "com", "edu", "gov", "mil", "net", "org"))
"""What many countries have below their own suffix, as in co.uk, com.au and ac.jp."""


def is_shared(domain: str) -> bool:
    """Whether the domain, in its ASCII form, is one of a mail provider (or below it), or a suffix for everybody."""
    labels = domain.split(".")
    above = (".".join(labels[at:]) for at in range(len(labels)))
    is_country = len(labels) == 2 and len(labels[1]) == 2
    return domain in SUFFIXES or any(name in MAIL_PROVIDERS for name in above) or (is_country and labels[0] in GENERIC)
