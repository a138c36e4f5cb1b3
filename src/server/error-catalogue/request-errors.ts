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
