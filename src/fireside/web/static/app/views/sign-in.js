/** The two doors: signing in, and setting up on the first start with the printed link. */
import { html, signal, useEffect, useSignal } from "../html.js";
import { account } from "../api/endpoints.js";
import { describe } from "../api/problem.js";
import { register, setUp, signIn } from "../state/session.js";
import { go } from "../state/route.js";
import { Icon, Mark } from "./icons.js";

const LEAST_PASSWORD_CHARACTERS = 8;
const setUpState = signal(null);

export function SignIn() {
  const creating = useSignal(false);
  useEffect(() => {
    account.setUpState().then(
      (state) => (setUpState.value = state),
      () => {},
    );
  }, []);
  if (setUpState.value?.required) return html`<${SetUpNeeded} />`;
  const open = setUpState.value?.registration === "open";
  return html`
    <${Door}
      key=${creating.value}
      title=${creating.value ? "Create your account" : "Welcome back"}
      lead=${creating.value ? "So that your questions and answers are yours alone." : "Sign in to ask your documents."}
      action=${creating.value ? "Create account" : "Sign in"}
      withName=${creating.value}
      submit=${(fields) => (creating.value ? register(fields) : signIn(fields.email, fields.password))}
    >
      ${
        open
          ? html` <p class="door-more">
              ${creating.value ? "You have an account?" : "New here?"}${" "}
              <button type="button" class="link" onClick=${() => (creating.value = !creating.value)}>
                ${creating.value ? "Sign in" : "Create an account"}
              </button>
            </p>`
          : null
      }
    <//>
  `;
}

export function SetUp({ token }) {
  if (!token) return html`<${SetUpNeeded} />`;
  const submit = async (fields) => {
    await setUp({ token, ...fields });
    go("/", { replace: true });
  };
  return html`
    <${Door}
      title="Light the fire"
      lead="Create the first account. It will be the administrator of this Fireside."
      action="Create account and begin"
      withName
      submit=${submit}
    />
  `;
}

const SetUpNeeded = () => html`
  <main class="door" id="main" tabindex="-1">
    <div class="door-card">
      <div class="door-mark"><${Mark} size=${44} /></div>
      <h1>Almost there</h1>
      <p class="door-lead">
        This Fireside has no account yet. Open the one-time link that it printed when it started; it begins with
        ${" "}<code>${location.origin}/setup?token=</code>
      </p>
      <p class="door-more">The link is gone? Start <code>fireside up</code> again: it prints a new one.</p>
    </div>
  </main>
`;

function Door({ title, lead, action, withName = false, submit, children }) {
  const problem = useSignal(null);
  const busy = useSignal(false);
  const onSubmit = async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.currentTarget));
    busy.value = true;
    problem.value = null;
    try {
      await submit(fields);
    } catch (error) {
      problem.value = { text: describe(error), fields: error.fields ?? {} };
      const form = event.target;
      (form.querySelector("[aria-invalid=true]") ?? form.elements.password).focus();
    } finally {
      busy.value = false;
    }
  };
  const wrong = problem.value?.fields ?? {};
  return html`
    <main class="door" id="main" tabindex="-1">
      <form class="door-card" onSubmit=${onSubmit} aria-labelledby="door-title">
        <div class="door-mark"><${Mark} size=${44} /></div>
        <h1 id="door-title">${title}</h1>
        <p class="door-lead">${lead}</p>
        ${withName ? html`<${Field} name="name" label="Your name" autocomplete="name" problem=${wrong.name} first />` : null}
        <${Field}
          name="email"
          label="E-mail"
          type="email"
          autocomplete="username"
          problem=${wrong.email}
          first=${!withName}
        />
        <${PasswordField} isNew=${withName} problem=${wrong.password} />
        <p class="form-problem" role="alert">
          ${problem.value ? html`<${Icon} name="circle-alert" size=${16} /> ${problem.value.text}` : null}
        </p>
        <button type="submit" class="button primary wide" disabled=${busy.value}>
          ${busy.value ? "One moment…" : action}
        </button>
        ${children}
      </form>
    </main>
  `;
}

function Field({ name, label, type = "text", autocomplete, problem, first = false }) {
  return html`
    <label class="field">
      <span>${label}</span>
      <input
        name=${name}
        type=${type}
        autocomplete=${autocomplete}
        required
        maxlength="254"
        autofocus=${first}
        spellcheck="false"
        autocapitalize=${type === "email" ? "none" : "words"}
        aria-invalid=${problem ? "true" : null}
        aria-describedby=${problem ? `${name}-problem` : null}
      />
      ${problem ? html`<small id=${`${name}-problem`} class="field-problem">${problem}</small>` : null}
    </label>
  `;
}

function PasswordField({ isNew, problem }) {
  const shown = useSignal(false);
  return html`
    <div class="field">
      <label for="password">Password</label>
      <div class="with-button">
        <input
          id="password"
          name="password"
          type=${shown.value ? "text" : "password"}
          required
          maxlength="256"
          minlength=${isNew ? LEAST_PASSWORD_CHARACTERS : null}
          autocomplete=${isNew ? "new-password" : "current-password"}
          aria-invalid=${problem ? "true" : null}
          aria-describedby=${isNew || problem ? "password-note" : null}
        />
        <button
          type="button"
          class="icon-button"
          aria-pressed=${shown.value}
          aria-label="Show password"
          title=${shown.value ? "Hide password" : "Show password"}
          onClick=${() => (shown.value = !shown.value)}
        >
          <${Icon} name=${shown.value ? "eye-off" : "eye"} />
        </button>
      </div>
      ${problem ? html`<small id="password-note" class="field-problem">${problem}</small>` : null}
      ${isNew && !problem ? html`<small id="password-note">A few words in a row are easy to remember and hard to guess.</small>` : null}
    </div>
  `;
}
