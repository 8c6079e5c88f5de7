import { expect, it } from "vitest";
import { ownOrigin } from "./links";

it("opens a presigned link on the page's own origin, whatever host it names", () => {
  expect(ownOrigin("https://bucket.s3.eu-central-1.amazonaws.com/incoming/a%20b.jpg?X-Amz-Signature=1")).toBe(
    "/incoming/a%20b.jpg?X-Amz-Signature=1",
  );
  expect(ownOrigin("http://127.0.0.1:9/bucket/thumbnails/1.jpg?x=1")).toBe("/bucket/thumbnails/1.jpg?x=1");
});

it("takes nothing but web addresses for a picture", () => {
  expect(ownOrigin("javascript:alert(1)")).toBeNull();
  expect(ownOrigin("data:text/html,x")).toBeNull();
  expect(ownOrigin(null)).toBeNull();
  expect(ownOrigin("")).toBeNull();
});
