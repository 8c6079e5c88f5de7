// Compares our types of the API's answers with its description (schema.ts, made from docs/openapi.json): what a page
// reads must be described, and what may be missing there must be allowed to be missing here. Ours say more where the
// description is loose: which verdicts there are, that a box is four numbers. The compiler does the comparison.
import type { Paths } from "./paths";
import type { paths as Described } from "./schema";

/** Sentences about where `Ours` and the description `Theirs` differ; `never` if they agree. */
type Differs<Ours, Theirs, At extends string> = unknown extends Theirs
  ? never
  :
      | Missing<Ours, Theirs, null, At>
      | Missing<Ours, Theirs, undefined, At>
      | DiffersInside<NonNullable<Ours>, NonNullable<Theirs>, At>;

type Missing<Ours, Theirs, Nothing, At extends string> = [Extract<Theirs, Nothing>] extends [never]
  ? never
  : [Extract<Ours, Nothing>] extends [never]
    ? `${At} may be ${Nothing extends null ? "null" : "missing"}`
    : never;

type DiffersInside<Ours, Theirs, At extends string> = [Theirs] extends [readonly (infer Their)[]]
  ? [Ours] extends [readonly (infer Our)[]]
    ? Differs<Our, Their, `${At}[]`>
    : `${At} is a list`
  : [Theirs] extends [object]
    ? [Ours] extends [object]
      ? DiffersInFields<Ours, Theirs, At>
      : `${At} is an object`
    : [Ours] extends [Theirs]
      ? never
      : `${At} has another type`;

type DiffersInFields<Ours, Theirs, At extends string> = string extends keyof Theirs
  ? Differs<Ours[keyof Ours], Theirs[keyof Theirs], `${At}{}`>
  : {
      [K in keyof Ours & string]-?: K extends keyof Theirs
        ? Differs<Ours[K], Theirs[K], `${At}.${K}`>
        : `${At}.${K} is not described`;
    }[keyof Ours & string];

type AnswerOf<Operation> = Operation extends { responses: { 200: { content: { "application/json": infer T } } } }
  ? T
  : unknown;
type QueryOf<Operation> = Operation extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;
type BodyOf<Operation> = Operation extends { requestBody?: { content: { "application/json": infer B } } } ? B : never;

type Unknown<Ours, Theirs, At extends string> = [Ours] extends [never]
  ? never
  : [Exclude<keyof Ours, keyof Theirs>] extends [never]
    ? never
    : `${At} has no ${Exclude<keyof Ours, keyof Theirs> & string}`;

type Method = "get" | "post" | "put" | "delete";
type DiffersInMethod<P extends keyof Paths & keyof Described, M extends Method> = M extends keyof Paths[P]
  ?
      | Differs<AnswerOf<Paths[P][M]>, AnswerOf<Described[P][M]>, `${M} ${P}: `>
      | Unknown<QueryOf<Paths[P][M]>, QueryOf<Described[P][M]>, `the query of ${M} ${P}`>
      | Unknown<BodyOf<Paths[P][M]>, BodyOf<Described[P][M]>, `the body of ${M} ${P}`>
  : never;

/** Every difference, as the compiler's message. */
export type Differences = {
  [P in keyof Paths & string]: P extends keyof Described
    ? { [M in Method]: DiffersInMethod<P, M> }[Method]
    : `${P} is not described`;
}[keyof Paths & string];

/** Compiles only without a difference. */
export const agreement: [Differences] extends [never] ? true : Differences = true;
