import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** PEM files of an authority and of what it certifies. */
export interface CertificateFiles {
  certificateFile: string;
  keyFile: string;
}

/** An authority made for a test. */
export interface Authority {
  caFile: string;
  /** A certificate for 127.0.0.1 and localhost, for servers and clients. */
  issue(name: string): CertificateFiles;
}

/** Makes a certificate authority with P-256 keys, valid from 2020 to 2049; its files go to the folder. */
export function makeAuthority(folder: string, name: string): Authority {
  const ca = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const caFile = join(folder, `${name}.crt`);
  writeFileSync(caFile, certificate(name, name, ca.publicKey, ca.privateKey, [basicConstraints(true)]));
  return {
    caFile,
    issue(subject) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
      const certificateFile = join(folder, `${subject}.crt`);
      const keyFile = join(folder, `${subject}.key`);
      const extensions = [basicConstraints(false), alternativeNames()];
      writeFileSync(certificateFile, certificate(name, subject, pair.publicKey, ca.privateKey, extensions));
      writeFileSync(keyFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      return { certificateFile, keyFile };
    },
  };
}

let serial = 0;

/** An X.509 certificate (RFC 5280), as PEM. */
function certificate(
  issuer: string,
  subject: string,
  subjectKey: KeyObject,
  issuerKey: KeyObject,
  extensions: Buffer[],
): string {
  const ecdsaWithSha256 = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
  const toBeSigned = sequence(
    der(0xa0, integer(2)),
    integer(++serial),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z'))),
    commonName(subject),
    subjectKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', toBeSigned, issuerKey);
  const whole = sequence(toBeSigned, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature));
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function basicConstraints(authority: boolean): Buffer {
  const value = sequence(...(authority ? [der(0x01, Buffer.from([0xff]))] : []));
  return sequence(objectId(0x55, 0x1d, 0x13), der(0x01, Buffer.from([0xff])), der(0x04, value));
}

function alternativeNames(): Buffer {
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])));
  return sequence(objectId(0x55, 0x1d, 0x11), der(0x04, names));
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(objectId(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))));
}

function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]));
}

function objectId(...bytes: number[]): Buffer {
  return der(0x06, Buffer.from(bytes));
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
