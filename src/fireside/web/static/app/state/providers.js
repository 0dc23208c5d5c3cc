/** The providers of models and the models of roles: loading, changing, trying out. */
import { models as modelsApi, providers as api } from "../api/endpoints.js";
import { describe } from "../api/problem.js";
import { signal } from "../html.js";
import { toastError } from "./notices.js";

export const providers = signal(null);
/** Nodes that ask providers and do not tell how they find them. */
export const silent = signal([]);
export const roles = signal({});
export const modelNames = signal([]);
export const problem = signal("");
/** What the last trial of each provider came to, by name. */
export const trials = signal({});

/** The kinds, with the address that each usually has. */
export const KINDS = [
  { kind: "openai", label: "OpenAI", url: "https://api.openai.com" },
  { kind: "anthropic", label: "Anthropic", url: "https://api.anthropic.com" },
  { kind: "gemini", label: "Google Gemini", url: "https://generativelanguage.googleapis.com" },
  { kind: "mistral", label: "Mistral", url: "https://api.mistral.ai" },
  { kind: "groq", label: "Groq", url: "https://api.groq.com/openai" },
  { kind: "azure", label: "Azure OpenAI", url: "" },
  { kind: "ollama", label: "Ollama", url: "http://127.0.0.1:11434" },
  { kind: "vllm", label: "vLLM", url: "http://127.0.0.1:8000" },
  { kind: "llama-server", label: "llama-server", url: "http://127.0.0.1:8080" },
  { kind: "compatible", label: "Other, OpenAI-compatible", url: "" },
];

export async function loadProviders() {
  try {
    const [listed, chains, models] = await Promise.all([api.list(), api.roles(), modelsApi.list()]);
    providers.value = listed.items;
    silent.value = listed.silent;
    roles.value = chains.roles;
    modelNames.value = models.items.map((item) => item.name);
    problem.value = "";
  } catch (error) {
    problem.value = describe(error);
  }
}

/** Save a provider; throws what the server says against it. */
export async function saveProvider(provider) {
  await api.save(provider);
  await loadProviders();
}

export async function removeProvider(name) {
  try {
    await api.remove(name);
    await loadProviders();
  } catch (error) {
    toastError(error);
  }
}

/** Ask a provider for its models; what came of it stands in `trials`. */
export async function testProvider(provider) {
  trials.value = { ...trials.value, [provider.name]: { running: true } };
  let found;
  try {
    found = await api.test(bodyOf(provider));
  } catch (error) {
    found = { ok: false, problem: describe(error), models: [] };
  }
  trials.value = { ...trials.value, [provider.name]: found };
  return found;
}

/** Give a role these models, in order. */
export async function saveChain(role, chain) {
  const before = roles.value;
  roles.value = { ...before, [role]: chain };
  try {
    roles.value = (await api.saveRoles({ [role]: chain })).roles;
  } catch (error) {
    roles.value = before;
    toastError(error);
  }
}

const SHOWN_ONLY = ["fixed", "has_key", "key_end", "health", "state"];

/** A provider as it is sent: without what is only shown. */
export const bodyOf = (provider) =>
  Object.fromEntries(Object.entries(provider).filter(([field]) => !SHOWN_ONLY.includes(field)));
