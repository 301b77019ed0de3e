// A device that speaks through paho.mqtt.golang, as the library's users write it: its own reconnecting, its own store.
// In: one argument, JSON (see tests/clients/kit.py). Out: a line an event.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

type task struct {
	URL, ID, CA, Cert, Key, Topic, Listen string
	Count, Expect                         int
	Clean                                 bool
}

func check(err error) {
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func secure(job task) *tls.Config {
	pem, err := os.ReadFile(job.CA)
	check(err)
	believed := x509.NewCertPool()
	believed.AppendCertsFromPEM(pem)
	shown, err := tls.LoadX509KeyPair(job.Cert, job.Key)
	check(err)
	return &tls.Config{RootCAs: believed, Certificates: []tls.Certificate{shown}}
}

func main() {
	var job task
	check(json.Unmarshal([]byte(os.Args[1]), &job))
	heard := make(chan string, 10000)
	ready := make(chan bool, 100)
	options := mqtt.NewClientOptions().AddBroker(job.URL).SetClientID(job.ID).SetCleanSession(job.Clean)
	options.SetMaxReconnectInterval(200 * time.Millisecond).SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond)
	if job.CA != "" {
		options.SetTLSConfig(secure(job))
	}
	options.SetDefaultPublishHandler(func(_ mqtt.Client, message mqtt.Message) { heard <- string(message.Payload()) })
	options.SetOnConnectHandler(func(client mqtt.Client) {
		if job.Listen != "" {
			check2(client.Subscribe(job.Listen, 1, nil))
		}
		ready <- true
	})
	client := mqtt.NewClient(options)
	client.Connect()
	<-ready
	fmt.Println("ready")
	var sent []mqtt.Token
	for number := 0; number < job.Count; number++ {
		sent = append(sent, client.Publish(job.Topic, 1, false, fmt.Sprintf(`{"seq":%d,"fields":{"n":%d}}`, number, number)))
		if number == job.Count/2 {
			fmt.Println("half")
		}
		time.Sleep(2 * time.Millisecond)
	}
	for _, token := range sent {
		check2(token)
	}
	for number := 0; number < job.Expect; number++ {
		fmt.Println("heard", <-heard)
	}
	client.Disconnect(250)
	fmt.Println("done")
}

func check2(token mqtt.Token) {
	token.Wait()
	check(token.Error())
}
