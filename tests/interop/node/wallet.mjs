// A wallet made of other people's packages. Reads tasks from standard input, one JSON object a line (`do` names the
// step), and answers each with a line: {done: …} or {failed: message, error, status: the refusal that it met}.
import readline from 'node:readline'
import * as oauth2 from '@openid4vc/oauth2'
import * as openid4vci from '@openid4vc/openid4vci'
import * as collect from './collect.mjs'

for (const each of [oauth2, openid4vci]) each.setGlobalConfig({ allowInsecureUrls: true }) // all of it is on this machine
const STEPS = { ...collect }

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
