// @ts-check
/**
 * The form for a login token: shown while the server asks for one, or has one that can be forgotten.
 * @module login_form
 */
import { part, partOfType, write } from "./dom.js";

/** @typedef {import("./connection/login.js").Login} Login */

export class LoginForm {
  #form;
  #login;

  /**
   * @param {ParentNode} root
   * @param {Login} login
   * @param {() => void} entered called after the reader has entered a token
   * @param {() => void} forgotten called after the reader has had it forgotten: connections that it opened should end
   */
  constructor(root, login, entered, forgotten) {
    this.#login = login;
    login.advice = "Enter one at “Token” and press Log in.";
    this.#form = partOfType(root, "login", HTMLFormElement);
    const input = partOfType(this.#form, "token", HTMLInputElement);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim() === "") return input.focus();
      login.enter(input.value);
      input.value = "";
      entered();
    });
    part(this.#form, "forget").addEventListener("click", () => {
      login.forget();
      forgotten();
    });
  }

  paint() {
    const { hasToken, problem, isAccepted, delay } = this.#login;
    this.#form.hidden = problem === "" && !hasToken;
    part(this.#form, "ask").hidden = problem === "";
    part(this.#form, "forget").hidden = !hasToken;
    const kept = "You are logged in. The browser keeps the token for this tab, and may restore both later.";
    write(part(this.#form, "login-state"), problem || delay || (isAccepted ? kept : "Checking the token."));
  }
}
