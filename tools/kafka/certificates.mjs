import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Certificates for a broker on this machine and for one client, signed by an authority of their own, as PEM files. They
 * are made here because neither Node.js nor Java's keytool writes PEM certificates with keys, and openssl is not everywhere.
 *
 * @param {string} folder made if missing; what is there is kept
 * @returns {{ files: import('./index.d.mts').TlsFiles, serverKeystore: string }} the keystore holds key and certificate
 */
export function certificates(folder) {
  const files = {
    ca: join(folder, 'ca.pem'),
    clientCert: join(folder, 'client.pem'),
    clientKey: join(folder, 'client.key'),
  };
  const serverKeystore = join(folder, 'server-keystore.pem');
  // Written last: where it is, all are.
  if (existsSync(files.ca)) return { files, serverKeystore };
  mkdirSync(folder, { recursive: true });
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issue = (name, keys, isAuthority) =>
    certificate({ name, issuer: 'infalign development authority', keys, signer: authority.privateKey, isAuthority });
  const [server, client] = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  writeFileSync(serverKeystore, privateKeyPem(server) + issue('kafka', server), { mode: 0o600 });
  writeFileSync(files.clientKey, privateKeyPem(client), { mode: 0o600 });
  writeFileSync(files.clientCert, issue('client', client));
  writeFileSync(files.ca, issue('infalign development authority', authority, true));
  return { files, serverKeystore };
}

/**
 * A certificate for a server on this machine, signed by an authority of its own, as PEM files: `NAME.pem` and `NAME.key`.
 *
 * @param {string} folder
 * @param {string} name
 * @param {number} validDays from now on
 * @returns {{ certificate: string, key: string }} the files; those that are there are replaced
 */
export function serverCertificate(folder, name, validDays) {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  writeFileSync(files.key, privateKeyPem(keys), { mode: 0o600 });
  writeFileSync(
    files.certificate,
    certificate({ name, issuer: 'infalign development authority', keys, signer: authority.privateKey, validDays }),
  );
  return files;
}

function privateKeyPem({ privateKey }) {
  return privateKey.export({ type: 'pkcs8', format: 'pem' });
}

// X.509 (RFC 5280), version 3, ECDSA with SHA-256, in DER.
const ecdsaWithSha256 = sequence(identifier(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const commonName = identifier(0x55, 0x04, 0x03);
const keyUsage = identifier(0x55, 0x1d, 0x0f);
const subjectAlternativeName = identifier(0x55, 0x1d, 0x11);
const basicConstraints = identifier(0x55, 0x1d, 0x13);
const isTrue = element(0x01, Buffer.from([0xff]));

/** @returns {string} PEM */
function certificate({ name, issuer, keys, signer, isAuthority = false, validDays = 3650 }) {
  const day = 24 * 60 * 60 * 1000;
  const extensions = isAuthority
    ? [
        sequence(basicConstraints, isTrue, octets(sequence(isTrue))),
        // keyCertSign and cRLSign.
        sequence(keyUsage, isTrue, octets(element(0x03, Buffer.from([0x01, 0x06])))),
      ]
    : [
        sequence(basicConstraints, isTrue, octets(sequence())),
        sequence(
          subjectAlternativeName,
          octets(sequence(element(0x82, Buffer.from('localhost')), element(0x87, Buffer.from([127, 0, 0, 1])))),
        ),
      ];
  const body = sequence(
    element(0xa0, integer(Buffer.from([2]))),
    // Positive and without a leading zero, whatever the random bytes are.
    integer(Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
    ecdsaWithSha256,
    distinguishedName(issuer),
    sequence(time(Date.now() - day), time(Date.now() + validDays * day)),
    distinguishedName(name),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensions)),
  );
  const signature = bits(sign('sha256', body, { key: signer, dsaEncoding: 'der' }));
  const base64 = sequence(body, ecdsaWithSha256, signature).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

function distinguishedName(name) {
  return sequence(element(0x31, sequence(commonName, element(0x0c, Buffer.from(name)))));
}

function time(milliseconds) {
  const digits = new Date(milliseconds).toISOString().replace(/\D/g, '').slice(2, 14);
  return element(0x17, Buffer.from(`${digits}Z`));
}

function sequence(...elements) {
  return element(0x30, Buffer.concat(elements));
}

function identifier(...bytes) {
  return element(0x06, Buffer.from(bytes));
}

function integer(bytes) {
  return element(0x02, bytes);
}

function octets(bytes) {
  return element(0x04, bytes);
}

/** A bit string of whole bytes. */
function bits(bytes) {
  return element(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function element(tag, content) {
  const length = content.length;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
