Two more example plugins show the other types of data sources: a website to crawl and an online document.
