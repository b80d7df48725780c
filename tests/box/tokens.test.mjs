// tokens.test.mjs - how far the estimate of tokens (route/tokens.c) is from a real tokenizer
// (o200k_base) on ordinary text: prose, programs, JSON, other languages; from the excerpts that
// the gateway looks at. The unit test's program counts: it takes a JSON string's contents a line.
// Texts are this repository's and some written for this test; with ../shared also its prompts.
import test from 'node:test'
import assert from 'node:assert'
import fs from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { spawnSync } from 'node:child_process'
import { encode } from 'gpt-tokenizer/encoding/o200k_base'

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..')
const program = path.resolve(root, process.env.WEIR_BUILD ?? 'build', 'unit/test_tokens')
const real = text => encode(text, { disallowedSpecial: new Set() }).length

// Estimates by the program, of texts.
function estimates(texts) {
  const input = texts.map(t => JSON.stringify(t).slice(1, -1)).join('\n') + '\n'
  const run = spawnSync(program, ['--lines'], { input, maxBuffer: 1 << 26 })
  assert.equal(run.status, 0, String(run.stderr))
  const out = String(run.stdout).trim().split('\n').map(Number)
  assert.equal(out.length, texts.length)
  return out
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

// The median of |estimate / real - 1| over texts, and of its sign.
function errors(texts) {
  const got = estimates(texts)
  const off = texts.map((t, i) => got[i] / real(t) - 1)
  return { off: median(off.map(Math.abs)), bias: median(off) }
}

function files(dir, ending) {
  return fs.readdirSync(path.join(root, dir)).filter(f => f.endsWith(ending)).sort()
    .map(f => fs.readFileSync(path.join(root, dir, f), 'utf8'))
}

// Pieces of texts, of several lengths as prompts have them.
function pieces(texts, lengths = [300, 700, 1500, 4000]) {
  return texts.flatMap((t, i) => {
    const n = lengths[i % lengths.length]
    return t.length < n ? [] : [t.slice((t.length - n) >> 1).slice(0, n)]
  })
}

const languages = [
  'Die kleine Werkstatt am Rand der Stadt hat seit dem Frühjahr jeden Tag geöffnet. Wer ein altes Fahrrad bringt, bekommt Hilfe beim Reparieren und lernt dabei, wie man einen Reifen flickt oder die Bremsen einstellt. Am Nachmittag sitzen die Leute vor der Tür, trinken Kaffee und reden über das Wetter, die Arbeit und die Kinder. Niemand muss etwas bezahlen, aber die meisten lassen ein paar Münzen da, damit neue Werkzeuge gekauft werden können.',
  'Quand nous sommes arrivés au village, la pluie venait de cesser et les rues sentaient encore la terre mouillée. Un vieil homme nous a montré le chemin de la gare, puis il a raconté comment, dans sa jeunesse, les trains passaient trois fois par jour. Aujourd\'hui il ne reste qu\'un autobus le matin et un autre le soir. Les habitants ont pris l\'habitude de partager leurs voitures, et personne ne se plaint vraiment de cette lenteur.',
  'Para preparar una buena sopa de verduras hace falta tiempo más que dinero. Se cortan las cebollas, las zanahorias y el apio en trozos pequeños, se fríen despacio con un poco de aceite y después se añade agua caliente. Mi abuela decía que el secreto está en no tener prisa y en probar el caldo muchas veces. Cuando los vecinos olían la cocina desde la escalera, siempre encontraban una razón para llamar a la puerta.',
  'La biblioteca comunale chiude alle sette, ma d\'estate il giardino resta aperto fino a tardi. I ragazzi studiano sotto gli alberi, qualcuno suona la chitarra, altri giocano a scacchi sui tavoli di pietra. Da quando hanno messo le luci nuove, anche gli anziani del quartiere vengono a leggere il giornale dopo cena. Il custode conosce tutti per nome e non ha mai perso la pazienza.',
  'O barco sai do porto às seis da manhã e volta antes do meio-dia, quando o vento começa a soprar com mais força. Os pescadores conhecem cada pedra da costa e sabem onde esperar pelos peixes maiores. Na praia, as crianças ajudam a puxar as redes e escolhem as conchas mais bonitas para vender aos turistas. Nem sempre há muito que comer, mas ninguém vai para casa sem nada.',
  'In de winter vriest het kanaal soms dicht en dan gaat de hele buurt schaatsen. De school geeft een middag vrij, de bakker verkoopt warme chocolademelk en oude mensen vertellen over de strenge winters van vroeger. Wie niet kan schaatsen, krijgt een stoel om zich aan vast te houden. Tegen de avond worden er lampen opgehangen en blijft iedereen nog even staan praten voordat het te koud wordt.',
  'Осенью мы всегда ездили в деревню к бабушке, чтобы помочь ей собрать яблоки и подготовить дом к зиме. Утром над полем стоял туман, и казалось, что время остановилось. Дедушка чинил забор, а мы носили дрова и спорили о том, кто сильнее. Вечером все садились за большой стол, пили чай с вареньем и слушали рассказы о том, как люди жили раньше, когда в деревне ещё не было электричества.',
  '这座小城的早市从清晨五点就开始热闹起来。卖菜的农民把刚摘的蔬菜摆在路边，空气里有豆浆和油条的香味。老人们提着篮子慢慢挑选，一边讨价还价，一边谈论昨天的新闻。太阳升起以后，上班的人匆匆走过，顺手买一份早饭。到了九点，摊位一个接一个收起来，街道又恢复了平时的安静，只有扫地的声音还在继续。',
  '駅前の小さな本屋は、もう四十年も同じ場所で続いている。店主は毎朝早く起きて、届いたばかりの雑誌を丁寧に並べる。学校帰りの子どもたちは漫画を立ち読みし、会社員は電車を待つ間に文庫本を選ぶ。大きな書店ができてから客は少し減ったけれど、ここでしか見つからない本があると言って、遠くから通ってくる人もいる。',
]

function check(t, name, texts, most) {
  const e = errors(texts)
  t.diagnostic(`${name}: ${texts.length} texts, median error ${(100 * e.off).toFixed(1)} %, ` +
    `bias ${(100 * e.bias).toFixed(1)} %`)
  assert.ok(texts.length >= 9)
  assert.ok(e.off <= most, `${name}: ${e.off}`)
}

test('prose is within 5 % of the tokenizer', t => {
  const prose = fs.readFileSync(path.join(root, 'README.md'), 'utf8').split('\n\n')
    .filter(p => p.length > 200 && /^[A-Za-z]/.test(p))
  const comments = [...files('engine', '.c'), ...files('net', '.h'), ...files('store', '.h')]
    .map(c => c.slice(0, c.indexOf('*/')).replace(/^\/?[ *]*/gm, '')).filter(c => c.length > 200)
  check(t, 'prose', [...prose, ...comments], 0.05)
})

test('programs are within 5 % of the tokenizer', t => {
  const programs = [...files('engine', '.c'), ...files('store', '.c'), ...files('net', '.c'),
    ...files('tests/box', '.mjs'), ...files('bench', '.py')]
  check(t, 'programs', pieces(programs), 0.05)
})

test('JSON is within 5 % of the tokenizer', t => {
  const documents = JSON.parse(fs.readFileSync(path.join(root, 'tests/box/package-lock.json')))
  const people = Array.from({ length: 40 }, (_, i) => ({
    id: 1000 + 37 * i, name: ['Ada Lovelace', 'Grace Hopper', 'Alan Turing'][i % 3],
    active: i % 2 === 0, score: i * 1.25, tags: ['billing', 'north', 'urgent'].slice(i % 3),
    address: { city: ['London', 'Arlington', 'Wilmslow'][i % 3], postal_code: `N${i} 4QT` },
    created_at: `2026-0${1 + i % 9}-1${i % 10}T08:15:00Z`, note: null,
  }))
  const schemas = ['weather', 'calendar', 'search', 'orders'].map(name => ({
    type: 'function', function: { name: `get_${name}`, description: `Look up the ${name} of a customer.`,
      parameters: { type: 'object', additionalProperties: false, required: ['query', 'limit'],
        properties: { query: { type: 'string', description: 'What to look for' },
          limit: { type: 'integer', minimum: 1, maximum: 50 } } } },
  }))
  const texts = [0, 8, 16, 24].flatMap(at => [JSON.stringify(people.slice(at, at + 3)),
    JSON.stringify(people.slice(at, at + 8), null, 2)])
  for (const s of schemas) texts.push(JSON.stringify(s), JSON.stringify(s, null, 2))
  const dependencies = Object.values(documents.packages).slice(1, 40)
    .map(({ integrity, ...rest }) => rest)
  texts.push(...[0, 10, 20, 30].map(at => JSON.stringify(dependencies.slice(at, at + 8), null, 2)))
  check(t, 'JSON', texts, 0.05)
})

test('other languages are within 5 % of the tokenizer', t => {
  check(t, 'languages', languages, 0.05)
  for (const text of languages) {
    const e = errors([text])
    assert.ok(e.off < 0.2, `${e.bias} ${text.slice(0, 40)}`)
  }
})

const prompts = path.resolve(root, '../shared/data/routing/dev.jsonl.gz')
test('prompts are within 5 % of the tokenizer', { skip: !fs.existsSync(prompts) }, t => {
  const rows = String(zlib.gunzipSync(fs.readFileSync(prompts))).trim().split('\n')
  const bySource = new Map()
  rows.forEach((row, i) => {
    if (i % 10 !== 0) return
    const { source, prompt } = JSON.parse(row)
    if (prompt.length < 100) return
    bySource.set(source, [...bySource.get(source) ?? [], prompt.slice(0, 16000)])
  })
  check(t, 'prompts', [...bySource.values()].flat(), 0.05)
  for (const [source, list] of bySource) {
    const e = errors(list)
    t.diagnostic(`${source}: ${list.length}, ${(100 * e.off).toFixed(1)} %`)
  }
})
