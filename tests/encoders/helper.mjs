// Builds mails with nodemailer and mimetext: a JSON request a line, the mail in base64 a line.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(process.env.ENCODERS_NODE + "/");
const MailComposer = require("nodemailer/lib/mail-composer");
const { createMimeMessage } = await import(`file://${process.env.ENCODERS_NODE}/node_modules/mimetext/dist/mimetext.node.es.js`);

async function nodemailer(ask) {
    const part = { content: Buffer.from(ask.data, "base64"), contentTransferEncoding: ask.encoding };
    part.contentType = [ask.type, ...ask.params.map(([name, value]) => `${name}="${value}"`)].join("; ");
    part.filename = ask.name || false;
    return new MailComposer({ from: ask.from, to: ask.to, subject: ask.subject, date: ask.date, messageId: ask.id, text: "see the part", attachments: [part] }).compile().build();
}

function mimetext(ask) {
    const mail = createMimeMessage();
    mail.setSender(ask.from);
    mail.setRecipient(ask.to);
    mail.setSubject(ask.subject);
    mail.setHeader("Message-ID", ask.id);
    mail.setHeader("Date", ask.date);
    mail.addMessage({ contentType: "text/plain", data: "see the part" });
    mail.addAttachment({ filename: ask.name || "file.dat", contentType: ask.type, data: ask.data });
    return Buffer.from(mail.asRaw());
}

for await (const line of createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line);
    const mail = ask.builder === "nodemailer" ? await nodemailer(ask) : mimetext(ask);
    process.stdout.write(mail.toString("base64") + "\n");
}
