/** The protocol between producers and the daemon, pure: bytes to values and back. Spec: docs/PROTOCOL.md. */
export { CloseCode, mayReconnect } from './close-codes.js';
export {
  BEARER_SUBPROTOCOL_PREFIX,
  DURABILITY_LEVELS,
  FRAME_HEADER_SIZE,
  Op,
  OUTPUT_ATOMIC,
  OUTPUT_RESEND,
  PROTOCOL_VERSION,
  Subprotocol,
  WAKEUP_AT_ONCE,
  WAKEUP_FORCED,
  WAKEUP_WRITABLE,
  WATCH_ON,
  isFrameError,
  opName,
  type AckFrame,
  type ClientFrame,
  type CommitFrame,
  type DiscardFrame,
  type DoneFrame,
  type DurabilityLevel,
  type ErrorFrame,
  type FrameError,
  type FrameErrorCode,
  type InfoFrame,
  type OpName,
  type OutputFrame,
  type QueryFrame,
  type ReservedFrame,
  type ReserveFrame,
  type ServerFrame,
  type SubmitFrame,
  type WakeupFrame,
  type WatchFrame,
  type WelcomeBody,
  type WelcomeFrame,
  type WelcomeLimits,
  type WriteFrame,
} from './frames.js';
export { decodeClientFrame, decodeServerFrame, isPlainOutput } from './decode.js';
export { encodeClientFrame, encodeServerFrame, writeOutputHeader } from './encode.js';
export { decodeClientJson, encodeServerJson } from './json.js';
export { buildOutputFrame, buildRun, runSize } from './run-builder.js';
export {
  ANSWER_FAILED,
  ANSWER_STOP,
  deliverBodySize,
  HANDLER_PROTOCOL_VERSION,
  HANDLER_SUBPROTOCOL,
  HandlerOp,
  ROLE_ACTIVE,
  type AnswerFrame,
  type AttachedBody,
  type AttachedFrame,
  type AttachedLimits,
  type CancelFrame,
  type CreditFrame,
  type DeliverFrame,
  type FailureFrame,
  type HandlerClientFrame,
  type HandlerRole,
  type HandlerServerFrame,
  type RoleFrame,
} from './handler-frames.js';
export { decodeHandlerClientFrame, decodeHandlerServerFrame, deliveredSamples } from './handler-decode.js';
export { encodeHandlerClientFrame, encodeHandlerServerFrame, startDeliver } from './handler-encode.js';
export { decodeBase64, encodeBase64 } from './base64.js';
export { addToSum, formatSum, hashPayload, SampleHash } from './sample-hash.js';
