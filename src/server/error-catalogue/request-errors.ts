/** What is wrong with a request before anybody looks at what it asks for. */
import { entry } from './entry.js';

export const requestErrors = {
  NO_ROUTE: entry({
    errno: 'ENOENT',
    title: 'no such route',
    advice: 'See /docs or /openapi.json for the calls there are.',
  }),
  METHOD_NOT_ALLOWED: entry({
    errno: 'EINVAL',
    status: 405,
    title: 'this path does not take that method',
    advice: 'The Allow header names the methods that it takes.',
  }),
  UPGRADE_REQUIRED: entry({
    errno: 'EPROTO',
    status: 426,
    title: 'this path is a WebSocket',
    advice: 'Connect with a WebSocket client; over plain HTTP samples go to POST /v1/maps/{map}/samples.',
  }),
  BAD_HTTP: entry({
    errno: 'EINVAL',
    title: 'the request is not HTTP/1.1',
    advice: 'Look at what your client really sends; over TLS, a proxy in front has to take the TLS off.',
  }),
  HEADERS_TOO_BIG: entry({
    errno: 'E2BIG',
    status: 431,
    title: 'the request header is too large',
    advice: 'All header lines together may have 16 KiB.',
  }),
  REQUEST_TIMEOUT: entry({
    errno: 'ETIMEDOUT',
    status: 408,
    title: 'the request did not arrive in time',
    advice: 'A request has 60 s to arrive as a whole: send smaller bodies over a slow network.',
    retryable: true,
  }),
  EXPECTATION: entry({
    errno: 'EINVAL',
    status: 417,
    title: 'the Expect header asks for what nobody here does',
    advice: 'Only "Expect: 100-continue" is known; leave the header out.',
  }),
  BAD_HANDSHAKE: entry({
    errno: 'EPROTO',
    title: 'the WebSocket handshake is malformed',
    advice:
      'A handshake is a GET with Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key of 16 bytes in base64.',
  }),
  BAD_REQUEST: entry({
    errno: 'EINVAL',
    title: 'the request is not of the documented form',
    advice: 'The detail names the field; /docs shows the form.',
  }),
  MEDIA_TYPE: entry({
    errno: 'EINVAL',
    status: 415,
    title: 'the body has the wrong content type',
    advice: 'Send exactly the Content-Type that the call documents.',
  }),
  BODY_TOO_BIG: entry({
    errno: 'E2BIG',
    title: 'the body is over limits.max_body_bytes',
    advice: 'Send smaller bodies, or raise the limit.',
  }),
  BAD_NAME: entry({
    errno: 'EINVAL',
    title: 'not a valid name',
    advice: 'Names are 1 to 64 characters of A-Z a-z 0-9 . _ - and neither "." nor "..".',
  }),
};
