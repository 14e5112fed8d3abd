// Client's script for PocketBase: collections, records, filters, files, batches and accounts through its JavaScript SDK.
// Prints a JSON line a step. Runs beside the product's node_modules: `pocketbase_client.mjs URL KEY_HEADER KEY NAME`.
import PocketBase from "pocketbase";

const [url, header, key, name] = process.argv.slice(2);
const pb = new PocketBase(url);
pb.autoCancellation(false);
pb.beforeSend = (target, options) => {
  if (key) options.headers = { ...options.headers, [header]: key };
  return { url: target, options };
};
const say = (step, value) => console.log(JSON.stringify({ step, value }));
const titles = (list) => list.map((one) => one.title);

say("health", (await pb.health.check()).code);
await pb.collection("_superusers").authWithPassword("admin@example.com", "correct-horse-9");
say("superuser", pb.authStore.isValid);
for (const one of ["posts", "people"]) await pb.collections.delete(`${name}_${one}`).catch(() => {});
const posts = await pb.collections.create({
  name: `${name}_posts`,
  type: "base",
  listRule: "", viewRule: "@request.auth.id != ''", createRule: "@request.auth.id != '' && title != ''",
  updateRule: null, deleteRule: null,
  fields: [
    { name: "title", type: "text", required: true, max: 200, pattern: "^[^<>]+$" },
    { name: "body", type: "editor" },
    { name: "views", type: "number", min: 0 },
    { name: "public", type: "bool" },
    { name: "tags", type: "select", maxSelect: 3, values: ["news", "howto", "faq"] },
    { name: "meta", type: "json" },
    { name: "at", type: "date" },
    { name: "link", type: "url" },
    { name: "image", type: "file", maxSelect: 2, maxSize: 6000000 },
    { name: "created", type: "autodate", onCreate: true },
  ],
  indexes: [`CREATE INDEX idx_${name} ON ${name}_posts (title)`],
});
say("fields", posts.fields.map((one) => one.name));
const table = pb.collection(`${name}_posts`);
for (const [at, title] of ["It's here", "SELECT the best of both", "Rock & roll; 50% off", "a/b testing (2)"].entries()) {
  await table.create({
    title,
    body: `<p>Hello <strong>world</strong>, see <a href="https://example.com/?q=1&amp;p=2">this</a>.</p><ul><li>${at}</li></ul>`,
    views: at * 10, public: at % 2 === 0, tags: ["news", "faq"], at: "2026-01-0" + (at + 1) + " 10:00:00.000Z",
    meta: { deep: { list: [1, 2.5, null, "x"], note: "it's" }, $set: { plan: "free" } }, link: "https://example.com/a?b=c#d",
  });
}
const filters = [
  "views > 5 && views <= 30", 'title ~ "it\'s"', 'title = "SELECT the best of both" || public = true',
  "created >= @now || created < @now", '(tags ?~ "news") && at > "2026-01-02"', "meta.deep.note = \"it's\"",
  pb.filter("title = {:title} && views >= {:least}", { title: "Rock & roll; 50% off", least: 1 }),
  "title !~ 'select%' && (views = 0 || views != 20)", "id != null && title != ''",
];
for (const filter of filters)
  say(filter, titles((await table.getList(1, 20, { filter, sort: "-views,title", fields: "id,title", skipTotal: true })).items));
say("full list", titles(await table.getFullList({ sort: "-views", batch: 2 })));
const first = await table.getFirstListItem(pb.filter("title = {:t}", { t: "It's here" }), { expand: "author,comments_via_post" });
say("first", [first.title, first.meta, first.tags]);
const form = new FormData();
form.append("views", "77");
form.append("meta", JSON.stringify({ kind: "form", where: { a: 1 } }));
form.append("image", new Blob([new Uint8Array(3_000_000).map((_, at) => (at * 7919) & 255)], { type: "image/png" }), "a photo (1).png");
form.append("image", new Blob(["plain text; it's fine\n"], { type: "text/plain" }), "notes.txt");
await table.update(first.id, form).then((one) => say("form", [one.views, one.image.length]));
const text = new FormData();
text.append("image", new Blob(["plain text; it's fine\n".repeat(200_000)], { type: "text/plain" }), "notes.txt");
const withFile = await table.update(first.id, text);
say("file", withFile.image.length);
const file = await fetch(pb.files.getURL(withFile, withFile.image[0], { download: true }), { headers: key ? { [header]: key } : {} });
say("downloaded", [file.status, (await file.text()).length]);
say("changed", (await table.update(first.id, { "views+": 3, "tags+": "howto", "tags-": "faq" })).tags);
await pb.settings.update({ batch: { enabled: true, maxRequests: 50, timeout: 3 } });
const batch = pb.createBatch();
batch.collection(`${name}_posts`).create({ title: "batched", views: 1 });
batch.collection(`${name}_posts`).update(first.id, { title: "renamed in a batch" });
say("batch", (await batch.send()).map((one) => one.status));
await pb.collections.create({ name: `${name}_people`, type: "auth", listRule: "", createRule: "", fields: [{ name: "nick", type: "text" }] });
const people = pb.collection(`${name}_people`);
await people.create({ email: "kim@example.com", password: "pa$$w0rd; it's", passwordConfirm: "pa$$w0rd; it's", nick: "Kim O'Neil" });
say("login", (await people.authWithPassword("kim@example.com", "pa$$w0rd; it's")).record.nick);
say("methods", (await people.listAuthMethods()).password.enabled);
say("refreshed", (await people.authRefresh()).record.nick);
say("refused", await people.authWithPassword("kim@example.com", "wrong").catch((error) => error.status));
say("missing", await table.getOne("nosuchrecord000").catch((error) => error.status));
await pb.collection("_superusers").authWithPassword("admin@example.com", "correct-horse-9");
say("logs", (await pb.logs.getList(1, 5, { filter: "data.status >= 200 && level >= 0" })).items.length >= 0);
say("crons", (await pb.crons.getFullList()).length > 0);
say("exported", (await pb.collections.getFullList({ filter: `name ~ '${name}'`, sort: "name" })).map((one) => one.name));
await table.delete(first.id);
for (const one of ["posts", "people"]) await pb.collections.delete(`${name}_${one}`);
say("done", true);
