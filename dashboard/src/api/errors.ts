import { texts } from "../texts";

/** An answer of the API that is no success, with the API's own sentence. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: unknown[];

  constructor(status: number, code: string, message: string, details: unknown[] = []) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** Reads the API's one form of error; anything else (a proxy's page, an empty body) becomes a sentence of ours. */
export function errorOf(status: number, body: unknown): ApiError {
  const error = (body as { error?: { code?: unknown; message?: unknown; details?: unknown } } | null)?.error;
  if (error && typeof error.code === "string" && typeof error.message === "string") {
    return new ApiError(status, error.code, error.message, Array.isArray(error.details) ? error.details : []);
  }
  return new ApiError(status, status === 0 ? "offline" : "unknown", texts.errors.status(status));
}

/** One line for people about whatever was thrown. */
export function sentence(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return texts.errors.offline;
  return error instanceof Error ? error.message : String(error);
}
