/** What one used of models and what is left of each limit; for administrators also what everybody used, all limits and prices. */
import { account, usage } from "../api/endpoints.js";
import { describe } from "../api/problem.js";
import { html, useEffect, useSignal } from "../html.js";
import { limits, loadLimits, loadOffers, problem } from "../state/limits.js";
import { toastError } from "../state/notices.js";
import { may } from "../state/session.js";
import { amount, money, until } from "../text/wording.js";
import { LimitsOfEverybody } from "./limits.js";
import { PricesOfModels } from "./prices.js";

/** What stands for several users whose names are not shown. */
const TOGETHER = [
  ["erased", "Users who are gone"],
  ["opted-out", "Users who opted out"],
];
const GROUPS = [
  ["model", "Model"],
  ["day", "Day"],
  ["user", "Person"],
  ["key", "API key"],
];

export function Usage() {
  return html`
    <div class="documents">
      <div class="documents-column usage">
        <header class="documents-head"><h1>Usage and limits</h1></header>
        <${UsageView} />
        ${may("admin:read") ? html`<${Settings} />` : null}
      </div>
    </div>
  `;
}

function Settings() {
  useEffect(() => {
    loadLimits();
    loadOffers();
  }, []);
  return html`
    ${problem.value ? html`<p class="thread-problem" role="alert">${problem.value}</p>` : null}
    <${LimitsOfEverybody} />
    <${PricesOfModels} />
  `;
}

function UsageView() {
  const everyone = useSignal(false);
  const by = useSignal("model");
  const found = useSignal(null);
  const problem = useSignal("");
  const names = useSignal(new Map(TOGETHER));
  const isAdmin = may("admin:read");
  useEffect(() => {
    let current = true;
    const load = everyone.value ? usage.everybody(by.value) : usage.own(by.value);
    load.then((report) => current && ((found.value = report), (problem.value = ""))).catch(
      (error) => current && (problem.value = describe(error)),
    );
    return () => (current = false);
  }, [everyone.value, by.value, limits.value]);
  useEffect(() => {
    if (!everyone.value || !may("users:manage")) return;
    // without names the ids are shown
    account.people().then((people) => (names.value = new Map([...TOGETHER, ...people.map((one) => [one.id, one.name])]))).catch(() => {});
  }, [everyone.value]);
  if (problem.value) return html`<p class="thread-problem" role="alert">${problem.value}</p>`;
  const report = found.value;
  if (!report) return html`<p aria-busy="true">Loading…</p>`;
  const groups = GROUPS.filter(([value]) => value !== "user" || everyone.value);
  return html`
    ${report.limits ? html`<${Left} limits=${report.limits} currency=${report.currency} />` : null}
    <section class="usage-part" aria-labelledby="used-title">
      <h2 id="used-title">What was used</h2>
      <div class="usage-choices">
        ${
          isAdmin
            ? html`<label
                >Of
                <select onChange=${(event) => choose(everyone, event.target.value === "everybody", by)}>
                  <option value="me" selected=${!everyone.value}>myself</option>
                  <option value="everybody" selected=${everyone.value}>everybody</option>
                </select></label
              >`
            : null
        }
        <label
          >by
          <select value=${by.value} onChange=${(event) => (by.value = event.target.value)}>
            ${groups.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
          </select></label
        >
      </div>
      <${Report} report=${report} names=${names.value} />
      ${report.limits ? html`<${OptOut} report=${report} />` : null}
    </section>
  `;
}

function OptOut({ report }) {
  const opted = useSignal(report.opted_out);
  const change = async (event) => {
    const wanted = event.target.checked;
    try {
      opted.value = (await usage.optOut(wanted)).opted_out;
    } catch (error) {
      event.target.checked = !wanted;
      toastError(error);
    }
  };
  return html`
    <label class="usage-opt-out">
      <input type="checkbox" checked=${opted.value} onChange=${change} />
      <span>Show my usage to administrators without my name <small>It counts all the same, for limits and in sums.</small></span>
    </label>
  `;
}

function choose(everyone, wanted, by) {
  if (!wanted && by.value === "user") by.value = "model";
  everyone.value = wanted;
}

function Left({ limits, currency }) {
  return html`
    <section class="usage-part" aria-labelledby="left-title">
      <h2 id="left-title">What is left for you</h2>
      ${
        limits.length
          ? html`<ul class="usage-limits" aria-label="What is left">
              ${limits.map((limit) => html`<${Limit} key=${limit.name} limit=${limit} currency=${currency} />`)}
            </ul>`
          : html`<p>No limits hold for you.</p>`
      }
    </section>
  `;
}

function Limit({ limit, currency }) {
  const shown = (value) => (limit.unit === "cost" ? money(value, currency) : amount(value));
  const unit = limit.unit === "cost" ? "" : ` ${limit.unit}`;
  const whose = { role: ` · all with the role ${limit.who}`, all: " · everybody together", key: " · this API key" };
  return html`
    <li>
      <span class="usage-left"><strong>${shown(limit.remaining)}</strong> of ${shown(limit.limit)}${unit} left</span>
      <progress
        max=${limit.limit || 1}
        value=${limit.limit ? limit.limit - limit.remaining : 1}
        aria-label=${`Used this ${limit.window}`}
      ></progress>
      <span class="small"
        >each ${limit.window}${limit.model ? ` with ${limit.model}` : ""}${whose[limit.scope] ?? ""} · begins anew${" "}
        ${until(limit.resets_at)}</span
      >
    </li>
  `;
}

function Report({ report, names }) {
  const { total, currency } = report;
  if (!total.requests) return html`<p>Nothing was used in the last 30 days.</p>`;
  const label = { user: "Person", model: "Model", day: "Day", key: "API key" }[report.group_by];
  return html`
    <div class="usage-table">
      <table>
        <caption class="visually-hidden">
          Usage of the last 30 days
        </caption>
        <thead>
          <tr>
            <th scope="col">${label}</th>
            <th scope="col">Requests</th>
            <th scope="col">Tokens</th>
            <th scope="col">Cost</th>
          </tr>
        </thead>
        <tbody>
          ${report.items.map((item) => html`<${Row} key=${item.group} item=${item} name=${names.get(item.group)} currency=${currency} />`)}
        </tbody>
        <tfoot>
          <${Row} item=${total} name="Together" currency=${currency} />
        </tfoot>
      </table>
    </div>
    ${total.unpriced_requests ? html`<p class="small">${amount(total.unpriced_requests)} requests went to models without a price; they count as free.</p>` : null}
    ${total.estimated_requests ? html`<p class="small">Tokens of ${amount(total.estimated_requests)} requests are estimated: their server told none.</p>` : null}
  `;
}

const Row = ({ item, name, currency }) => html`
  <tr>
    <th scope="row" title=${item.group}>${name ?? (item.group || "–")}</th>
    <td>${amount(item.requests)}</td>
    <td>${amount(item.prompt_tokens + item.completion_tokens)}</td>
    <td>${money(item.cost, currency)}</td>
  </tr>
`;
