// Baidu's SDK for Node against another host: steps come as JSON on stdin, what it answered goes
// out as JSON, with the number of times that it asked for a token.
'use strict';

const fs = require('fs');
const sdk = require('baidu-aip-sdk');

const {url, key, secret, image, steps} = JSON.parse(fs.readFileSync(0, 'utf8'));
let tokens = 0;

sdk.HttpClient.setRequestInterceptor((options) => {
    const {host, pathname} = new URL(options.url);
    if (host !== 'aip.baidubce.com') {
        throw new Error(`another host: ${host}`);
    }
    tokens += pathname === '/oauth/2.0/token' ? 1 : 0;
    const headers = Object.assign({}, options.headers, {Host: new URL(url).host});
    return Object.assign({}, options, {url: options.url.replace('https://aip.baidubce.com', url), headers});
});

async function main() {
    const client = new sdk.ocr('app', key, secret);
    const answers = [];
    for (const step of steps) {
        if (step.token) {
            client.setAccessToken(step.token);
        } else if (step.expire) {
            client.devAccessToken.authDate = new Date(0);
        } else {
            answers.push(await client[step.call](image, step.options));
        }
    }
    process.stdout.write(JSON.stringify({answers, tokens}));
}

main();
