// Starts `archdsl lsp` for specs, and `archdsl watch` for the drawing. All that it shows comes from the server.
"use strict";

const vscode = require("vscode");
const { LanguageClient, State } = require("vscode-languageclient/node");

const MARK = /^archdsl:[ \t]*\d|^#[ \t]*yaml-language-server:.*archdsl/m;
const NET = /^net[ \t]*:/m;
const SOURCE = /^(?:input|extends)[ \t]*:/m;

let client, started;

const setting = (name, document) => vscode.workspace.getConfiguration("archdsl", document).get(name);

/** Whether the text of a YAML file is a spec. Only the first 100 kB are read. */
function isSpec(text) {
  const head = text.slice(0, 100_000);
  return MARK.test(head) || (NET.test(head) && SOURCE.test(head));
}

/** Start the server for a spec. A YAML file whose text is one gets the language `archdsl`, others keep theirs. */
async function opened(document) {
  if (document.languageId === "archdsl") {
    await (started ??= start());
  } else if (document.languageId === "yaml" && setting("recognise", document) && isSpec(document.getText())) {
    await vscode.languages.setTextDocumentLanguage(document, "archdsl"); // which opens it anew
  }
}

async function start() {
  const server = { command: setting("command"), args: ["lsp"] };
  client = new LanguageClient("archdsl", "archdsl", server, { documentSelector: [{ language: "archdsl" }] });
  try {
    await client.start();
  } catch (problem) {
    const advice = "install it with `pip install 'archdsl[lsp,serve]'`, or set `archdsl.command` to its path";
    vscode.window.showErrorMessage(`archdsl: cannot start \`${server.command} lsp\`: ${problem.message}; ${advice}`);
  }
}

async function restart() {
  if (client?.state === State.Running) await client.stop();
  await (started &&= start());
}

/** Show the drawing, which follows the file. The path is an argument of its own: no shell reads it. */
async function draw() {
  const document = vscode.window.activeTextEditor?.document;
  if (document?.uri.scheme !== "file") {
    await vscode.window.showInformationMessage("archdsl: save the spec in a file first");
    return;
  }
  const name = `archdsl watch ${vscode.workspace.asRelativePath(document.uri)}`;
  const open = vscode.window.terminals.find((one) => one.name === name && one.exitStatus === undefined);
  const shell = { shellPath: setting("command", document), shellArgs: ["watch", "--open", document.uri.fsPath] };
  (open ?? vscode.window.createTerminal({ name, ...shell })).show(true);
}

async function activate(context) {
  context.subscriptions.push(
    vscode.workspace.onDidOpenTextDocument(opened),
    vscode.workspace.onDidSaveTextDocument(opened),
    vscode.commands.registerCommand("archdsl.draw", draw),
    vscode.commands.registerCommand("archdsl.restart", restart),
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration("archdsl.command") && restart()),
  );
  await Promise.all(vscode.workspace.textDocuments.map(opened));
}

module.exports = { activate, deactivate: () => client?.stop(), isSpec };
