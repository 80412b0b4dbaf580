// A wallet made of other people's packages. Reads tasks from standard input, one JSON object a line (`do` names the
// step), and answers each with a line: {done: …} or {failed: message, error, status: the refusal that it met}.
import readline from 'node:readline'
import { setGlobalConfig } from '@openid4vc/oauth2'
import * as collect from './collect.mjs'
import { issue } from './issue.mjs'
import * as present from './present.mjs'

setGlobalConfig({ allowInsecureUrls: true }) // whom it meets is on this machine
const STEPS = { ...collect, ...present, issue }

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { do: step, ...task } = JSON.parse(line)
  let answer
  try {
    answer = { done: await STEPS[step](task) }
  } catch (error) {
    const { response, ...parsed } = error.response?.ok === false && error.response.response ? error.response : error
    const said = parsed.errorResponse ?? Object.values(parsed).find((each) => each?.data?.error)?.data
    const message = `${error.message} ${error.cause?.message ?? ''}`
    answer = { failed: message, error: said?.error, status: response?.status }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
